import type { Priority } from "@mcp-accel/stream-guard";

export const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

interface Request {
  readonly id: number;
  readonly weight: number;
  readonly priority: Priority;
}

interface Waiting extends Request {
  readonly since: number;
}

interface Held {
  readonly weight: number;
  readonly since: number;
  reported: boolean;
}

export interface NaiveOptions {
  readonly capacity: number;
  readonly queueLimit: number;
  readonly acquireTimeoutMs: number;
  readonly agingMs: number | false;
  readonly maxHoldMs: number;
}

/** The pool as one would write it on a napkin: one list, searched from end to end each time. */
export class NaivePool {
  readonly waiting: Waiting[] = [];
  readonly out = new Map<number, Held>();
  /** In the order in which they were. */
  readonly granted: number[] = [];
  readonly rejected = { timeout: 0, queueFull: 0, aborted: 0, resized: 0 };
  longHolds = 0;
  readonly #options: NaiveOptions;
  #capacity: number;

  constructor(options: NaiveOptions) {
    this.#options = options;
    this.#capacity = options.capacity;
  }

  get inUse(): number {
    return [...this.out.values()].reduce((sum, { weight }) => sum + weight, 0);
  }

  acquire(request: Request, now: number): void {
    if (request.weight > this.#capacity) return;
    const before = this.waiting.some(
      (other) => this.#rank(other, now) <= this.#rank({ ...request, since: now }, now),
    );
    if (!before && this.#fits(request.weight)) this.#grant(request, now);
    else if (this.waiting.length >= this.#options.queueLimit) this.rejected.queueFull += 1;
    else {
      this.waiting.push({ ...request, since: now });
      this.#serve(now);
    }
  }

  tryAcquire(request: Request, now: number): void {
    if (this.waiting.length === 0 && this.#fits(request.weight)) this.#grant(request, now);
  }

  release(id: number, now: number): void {
    this.out.delete(id);
    this.#serve(now);
  }

  abort(id: number, now: number): void {
    if (this.#leave(id)) this.rejected.aborted += 1;
    this.#serve(now);
  }

  resize(capacity: number, now: number): void {
    this.#capacity = capacity;
    for (const { id, weight } of this.waiting.slice()) {
      if (weight <= capacity) continue;
      this.#leave(id);
      this.rejected.resized += 1;
      this.#serve(now);
    }
    this.#serve(now);
  }

  tick(now: number): void {
    for (const { id, since } of this.waiting.slice()) {
      if (now - since < this.#options.acquireTimeoutMs) continue;
      if (!this.#leave(id)) continue;
      this.rejected.timeout += 1;
      this.#serve(now);
    }
    for (const held of this.out.values()) {
      if (held.reported || now - held.since < this.#options.maxHoldMs) continue;
      held.reported = true;
      this.longHolds += 1;
    }
  }

  #serve(now: number): void {
    for (;;) {
      const first = this.waiting.toSorted(
        (a, b) => this.#rank(a, now) - this.#rank(b, now) || a.id - b.id,
      )[0];
      if (first === undefined || !this.#fits(first.weight)) return;
      this.#leave(first.id);
      this.#grant(first, now);
    }
  }

  #rank({ priority, since }: Waiting, now: number): number {
    const { agingMs } = this.#options;
    const aged = agingMs === false ? 0 : Math.floor((now - since) / agingMs);
    return PRIORITIES.indexOf(priority) - aged;
  }

  #fits(weight: number): boolean {
    return this.inUse + weight <= this.#capacity;
  }

  #grant({ id, weight }: Request, now: number): void {
    this.out.set(id, { weight, since: now, reported: false });
    this.granted.push(id);
  }

  #leave(id: number): boolean {
    const index = this.waiting.findIndex((waiting) => waiting.id === id);
    if (index >= 0) this.waiting.splice(index, 1);
    return index >= 0;
  }
}
