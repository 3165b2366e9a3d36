import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/swarm/sqlite/lock-wait.ts";

/** Time passes when somebody waits, and only then. */
export class WaitingClock implements Clock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  random(): number {
    return 0.5;
  }

  async wait(delayMs: number): Promise<void> {
    await setImmediate();
    this.#nowMs += delayMs;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }
}
