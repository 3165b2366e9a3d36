import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Exchange } from "../src/exchange.ts";
import type { Carrier } from "../src/exchange.ts";
import { WaitQueue } from "../src/wait-queue.ts";
import { FakeTime } from "./helpers/fake-time.ts";

const TIMEOUT_MS = 100;

const carrier: Carrier = {
  now: () => 0,
  schedule: () => () => undefined,
  headersTimeoutMs: 0,
  started: () => undefined,
  streaming: () => undefined,
  finished: () => undefined,
  release: () => undefined,
  again: () => false,
  unavailable: (_exchange, cause) => cause,
};

interface Entry {
  readonly id: number;
  readonly deadline: number;
}

/** The same queue as an array, without timers: entries expire when time passes. */
class NaiveQueue {
  readonly log: string[] = [];
  #entries: Entry[] = [];
  #nowMs = 1000;

  push(id: number): void {
    this.#entries.push({ id, deadline: this.#nowMs + TIMEOUT_MS });
  }

  pushFirst(id: number): void {
    const next = this.#entries[0]?.deadline ?? Infinity;
    this.#entries.unshift({ id, deadline: Math.min(next, this.#nowMs + TIMEOUT_MS) });
  }

  shift(): void {
    this.log.push(`shift ${this.#entries.shift()?.id}`);
  }

  remove(id: number): void {
    const left = this.#entries.filter((entry) => entry.id !== id);
    this.log.push(`remove ${id} ${left.length < this.#entries.length}`);
    this.#entries = left;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#entries.filter(({ deadline }) => deadline <= this.#nowMs);
    for (const { id, deadline } of due) this.log.push(`expire ${id} at ${deadline}`);
    this.#entries = this.#entries.filter((entry) => !due.includes(entry));
  }

  size(): void {
    this.log.push(`size ${this.#entries.length}`);
  }
}

/** The real queue, driven by the same calls. */
class RealQueue {
  readonly log: string[] = [];
  readonly time = new FakeTime();
  maxTimers = 0;
  readonly #exchanges = new Map<number, Exchange>();
  readonly #queue = new WaitQueue(
    { queueTimeoutMs: TIMEOUT_MS, now: this.time.now, schedule: this.time.schedule },
    (exchange) => this.log.push(`expire ${this.#idOf(exchange)} at ${this.time.now()}`),
  );

  push(id: number): void {
    this.#queue.push(this.#create(id));
  }

  pushFirst(id: number): void {
    this.#queue.pushFirst(this.#create(id));
  }

  shift(): void {
    this.log.push(`shift ${this.#idOf(this.#queue.shift())}`);
  }

  remove(id: number): void {
    const exchange = this.#exchanges.get(id);
    const removed = exchange !== undefined && this.#queue.remove(exchange);
    this.log.push(`remove ${id} ${removed}`);
  }

  advance(ms: number): void {
    this.time.advance(ms);
  }

  size(): void {
    this.log.push(`size ${this.#queue.size}`);
    this.maxTimers = Math.max(this.maxTimers, this.time.pending);
  }

  dispose(): void {
    this.#queue[Symbol.dispose]();
  }

  #create(id: number): Exchange {
    const exchange = new Exchange(carrier, { path: "/", method: "GET" }, {}, "request");
    this.#exchanges.set(id, exchange);
    return exchange;
  }

  #idOf(exchange: Exchange | undefined): number | undefined {
    return [...this.#exchanges].find(([, other]) => other === exchange)?.[0];
  }
}

interface Step {
  readonly kind: "push" | "pushFirst" | "shift" | "remove" | "advance";
  readonly amount: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("push", "push", "push", "pushFirst", "shift", "remove", "advance"),
  amount: fc.integer({ min: 1, max: 150 }),
});

function run(queue: NaiveQueue | RealQueue, steps: readonly Step[]): void {
  let next = 0;
  for (const { kind, amount } of steps) {
    if (kind === "push" || kind === "pushFirst") queue[kind]((next += 1));
    else if (kind === "remove") queue.remove(amount % (next + 1));
    else if (kind === "advance") queue.advance(amount);
    else queue.shift();
    queue.size();
  }
}

test("it behaves like a list whose entries expire in order, exactly when due, on one timer", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const real = new RealQueue();
      const naive = new NaiveQueue();
      run(real, steps);
      run(naive, steps);
      expect(real.log).toEqual(naive.log);
      expect(real.maxTimers).toBeLessThanOrEqual(1);
      real.dispose();
      expect(real.time.pending).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

test("once it is empty and its timer has ended, nothing holds a queue that was dropped", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const dropped = usedQueue();
  // A WeakRef holds what it refers to until the end of a turn.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(dropped.deref()).toBe(undefined);
});

/** One in which a request waited, came first, and after which time passed. */
function usedQueue(): WeakRef<WaitQueue> {
  const time = new FakeTime();
  const { now, schedule } = time;
  const queue = new WaitQueue({ queueTimeoutMs: TIMEOUT_MS, now, schedule }, () => undefined);
  queue.push(new Exchange(carrier, { path: "/", method: "GET" }, {}, "request"));
  queue.shift();
  time.advance(TIMEOUT_MS);
  return new WeakRef(queue);
}
