import * as fc from "fast-check";
import { ResourcePool, StreamGuardError } from "@mcp-accel/stream-guard";
import type { Permit, Priority } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "../fake-time.ts";
import { NaivePool, PRIORITIES } from "./naive-pool.ts";

const TIMEOUT_MS = 500;
const MAX_HOLD_MS = 400;

const step = fc.record({
  action: fc.constantFrom(
    "acquire",
    "acquire",
    "try",
    "release",
    "release",
    "abort",
    "resize",
    "advance",
  ),
  weight: fc.integer({ min: 1, max: 4 }),
  priority: fc.constantFrom<Priority>(...PRIORITIES),
  pick: fc.nat(20),
});

const scenario = fc.record({
  queueLimit: fc.constantFrom(2, 8, 8, 8),
  agingMs: fc.constantFrom<number | false>(false, 30, 60, 120),
  steps: fc.array(step, { minLength: 5, maxLength: 120 }),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

/** The pool and the naive pool, told the same. */
class World {
  readonly time = new FakeTime();
  readonly pool: ResourcePool;
  readonly naive: NaivePool;
  readonly #permits = new Map<number, Permit>();
  readonly #controllers = new Map<number, AbortController>();
  readonly #waits: Promise<unknown>[] = [];
  readonly #granted: number[] = [];
  readonly #errors: unknown[] = [];
  #longHolds = 0;
  #ids = 0;

  constructor({ agingMs, queueLimit }: Omit<Scenario, "steps">) {
    const { now, schedule } = this.time;
    const times = { acquireTimeoutMs: TIMEOUT_MS, agingMs, maxHoldMs: MAX_HOLD_MS };
    this.pool = new ResourcePool({ capacity: 4, queueLimit, ...times, now, schedule });
    this.naive = new NaivePool({ capacity: 4, queueLimit, ...times });
    this.pool.on("longHold", () => (this.#longHolds += 1));
  }

  run({ action, weight, priority, pick }: Step): void {
    if (action === "acquire") this.#acquire(weight, priority);
    else if (action === "try") this.#try(weight);
    else if (action === "release") this.#release(pick);
    else if (action === "abort") this.#abort(pick);
    else if (action === "resize") {
      this.pool.resize(weight + 2);
      this.naive.resize(weight + 2, this.time.now());
    } else {
      // In steps of a millisecond, so that both do what falls due in the same order.
      for (let ms = 0; ms < pick * 12; ms += 1) {
        this.time.advance(1);
        this.naive.tick(this.time.now());
      }
    }
  }

  #acquire(weight: number, priority: Priority): void {
    const id = (this.#ids += 1);
    const controller = new AbortController();
    this.#controllers.set(id, controller);
    this.naive.acquire({ id, weight, priority }, this.time.now());
    const options = { weight, priority, signal: controller.signal };
    this.#waits.push(
      this.pool.acquire(options).then(
        (permit) => {
          this.#permits.set(id, permit);
          return this.#granted.push(id);
        },
        (error: unknown) => this.#errors.push(error),
      ),
    );
  }

  #try(weight: number): void {
    const id = (this.#ids += 1);
    const permit = weight > this.pool.capacity ? undefined : this.pool.tryAcquire(weight);
    if (permit !== undefined) {
      this.#permits.set(id, permit);
      this.#granted.push(id);
    }
    this.naive.tryAcquire({ id, weight, priority: "normal" }, this.time.now());
  }

  #release(pick: number): void {
    const ids = [...this.#permits.keys()];
    const id = ids[pick % (ids.length || 1)];
    if (id === undefined) return;
    const permit = this.#permits.get(id);
    this.#permits.delete(id);
    permit?.release();
    permit?.release();
    this.naive.release(id, this.time.now());
  }

  #abort(pick: number): void {
    const id = 1 + (pick % (this.#ids || 1));
    this.#controllers.get(id)?.abort();
    this.naive.abort(id, this.time.now());
  }

  /** What differs now. */
  differences(): string[] {
    const { inUse, permits, waiting, rejected, longHolds } = this.pool.stats();
    const { naive } = this;
    const compared: readonly (readonly [string, unknown, unknown])[] = [
      ["in use", inUse, naive.inUse],
      ["permits", permits, naive.out.size],
      ["waiting", waiting, naive.waiting.length],
      ["granted, in order", this.#granted.join(" "), naive.granted.join(" ")],
      ["timed out", rejected.timeout, naive.rejected.timeout],
      ["refused", rejected.queueFull, naive.rejected.queueFull],
      ["aborted", rejected.aborted, naive.rejected.aborted],
      ["resized away", rejected.resized, naive.rejected.resized],
      ["held too long", longHolds, naive.longHolds],
      ["reported as held too long", this.#longHolds, naive.longHolds],
    ];
    return compared
      .filter(([, pool, expected]) => pool !== expected)
      .map(([what, pool, expected]) => `${what}: ${String(pool)} instead of ${String(expected)}`);
  }

  async end(): Promise<string[]> {
    const granted = this.#granted.length;
    await this.pool.close();
    await Promise.all(this.#waits);
    for (const permit of this.#permits.values()) permit.release();
    const { inUse, waiting, permits } = this.pool.stats();
    const late = this.#granted.length - granted;
    const left = { inUse, waiting, permits, late, timers: this.time.pending };
    const untyped = this.#errors.filter(
      (error) => !(error instanceof StreamGuardError) && !isAbort(error),
    );
    return [
      ...Object.entries(left).flatMap(([what, count]) =>
        count === 0 ? [] : [`${what} left: ${count}`],
      ),
      ...untyped.map((error) => `an untyped error: ${String(error)}`),
    ];
  }
}

/** Whatever is done, the pool does what the naive pool does, in the same order, and ends with nothing out. */
export const poolProperty: fc.IAsyncPropertyWithHooks<[Scenario]> = fc.asyncProperty(
  scenario,
  async ({ steps, ...limits }) => {
    const world = new World(limits);
    for (const [index, next] of steps.entries()) {
      world.run(next);
      await settle();
      const differences = world.differences();
      if (differences.length > 0) throw new Error(`after step ${index}: ${differences.join("; ")}`);
    }
    const left = await world.end();
    if (left.length > 0) throw new Error(left.join("; "));
  },
);

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
