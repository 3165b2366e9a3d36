import type { Schedule } from "@mcp-accel/stream-guard";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that moves only when told to, and runs what falls due on the way. */
export class FakeTime {
  #now = 1_000_000;
  readonly #timers = new Set<Timer>();

  readonly now = (): number => this.#now;

  readonly schedule: Schedule = (callback, delayMs) => {
    const timer: Timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  };

  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers]
        .filter((timer) => timer.at <= end)
        .toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }
}

/** Lets everything that is ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
