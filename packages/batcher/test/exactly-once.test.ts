import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { Engine } from "../src/engine.ts";
import { FairBucket } from "../src/fair-bucket.ts";
import { Intake } from "../src/intake.ts";
import { Job } from "../src/job.ts";
import { Lanes } from "../src/lanes.ts";
import { SharedJob } from "../src/shared-jobs.ts";
import type { BatcherStats, ItemResult } from "../src/index.ts";
import { httpError, watch } from "./support/backend.ts";
import { mulberry32 } from "./support/simulator.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const arrival = fc.record({
  afterMs: fc.integer({ min: 0, max: 8 }),
  how: fc.constantFrom("add", "add of shared keys", "processBatch", "stream"),
  count: fc.integer({ min: 1, max: 12 }),
  priority: fc.integer({ min: -1, max: 1 }),
  deadlineMs: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
  abortAfterMs: fc.option(fc.integer({ min: 0, max: 25 }), { nil: undefined }),
});
const scenario = fc.record({
  seed: fc.integer(),
  idempotent: fc.boolean(),
  maxBatchSize: fc.integer({ min: 1, max: 8 }),
  maxConcurrentBatches: fc.integer({ min: 1, max: 3 }),
  queueLimit: fc.integer({ min: 1, max: 20 }),
  lingerMs: fc.integer({ min: 0, max: 5 }),
  arrivals: fc.array(arrival, { minLength: 1, maxLength: 15 }),
  /** What happens to the batcher, and when. */
  events: fc.array(
    fc.record({
      atMs: fc.integer({ min: 0, max: 60 }),
      what: fc.constantFrom(
        "pause",
        "resume",
        "smaller",
        "larger",
        "less room",
        "fixed",
        "adaptive",
        "close",
      ),
    }),
    { maxLength: 6 },
  ),
  nested: fc.boolean(),
  ending: fc.constantFrom("drain", "close"),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer V> ? V : never;

/** A backend that answers, refuses, fails, breaks its contract or hangs, as the seed has it. */
class Chaos {
  readonly processed = new Map<number, number>();
  /** Set when calls shall ask their own batcher. */
  ask: ((item: number) => Promise<unknown>) | undefined = undefined;
  #asked = 1_000_000;
  readonly #time: VirtualTime;
  readonly #random: () => number;

  constructor(time: VirtualTime, seed: number) {
    this.#time = time;
    this.#random = mulberry32(seed);
  }

  readonly process = async (items: readonly number[]): Promise<readonly ItemResult<number>[]> => {
    const fate = this.#random();
    if (fate < 0.1) throw httpError(413);
    for (const item of items) this.processed.set(item, (this.processed.get(item) ?? 0) + 1);
    if (fate < 0.15) return new Promise(() => undefined);
    await this.#time.delay(Math.floor(this.#random() * 10));
    if (fate > 0.8 && (items[0] ?? 0) < 1_000_003)
      await this.ask?.(this.#asked++).catch(() => undefined);
    if (fate < 0.25) throw httpError(503);
    if (fate < 0.35) throw new Error("poison");
    if (fate < 0.4) throw httpError(401);
    if (fate < 0.45) return [];
    return items.map((item) => (this.#random() < 0.1 ? new Error(`no ${item}`) : item * 2));
  };
}

class Caller {
  readonly settled = new Map<number, PromiseSettledResult<number>[]>();
  #next = 0;
  readonly #time: VirtualTime;
  readonly #batcher: BatchProcessor<number, number>;

  constructor(time: VirtualTime, batcher: BatchProcessor<number, number>) {
    this.#time = time;
    this.#batcher = batcher;
  }

  async arrive({
    how,
    count,
    priority,
    deadlineMs,
    abortAfterMs,
  }: Scenario["arrivals"][number]): Promise<void> {
    const items = Array.from({ length: count }, () => this.#next++);
    for (const item of items) this.settled.set(item, []);
    const abort = new AbortController();
    if (abortAfterMs !== undefined) this.#time.set(() => abort.abort(), abortAfterMs);
    const { signal } = abort;
    if (how.startsWith("add")) {
      const adding = items.map((item) =>
        this.#batcher.add(item, {
          priority,
          deadlineMs,
          signal,
          key: `${item % 3}`,
          dedupeKey: how === "add" ? undefined : `${item >> 1}`,
        }),
      );
      await Promise.all(
        adding.map(async (promise, index) =>
          this.#note(items[index], (await Promise.allSettled([promise]))[0]),
        ),
      );
    } else if (how === "processBatch") {
      const results = await this.#batcher.processBatch(items, undefined, { signal });
      for (const [index, result] of results.entries()) this.#note(items[index], result);
    } else await this.#stream(items, signal);
  }

  async #stream(items: number[], signal: AbortSignal): Promise<void> {
    let index = 0;
    try {
      for await (const result of this.#batcher.stream(items, { signal, windowItems: 4 }))
        this.#note(items[index++], result);
    } catch (error) {
      if (!signal.aborted) throw error;
      for (; index < items.length; index++)
        this.#note(items[index], { status: "rejected", reason: error });
    }
  }

  #note(item: number | undefined, result: PromiseSettledResult<number>): void {
    this.settled.get(item ?? -1)?.push(result);
  }
}

function disturb(batcher: BatchProcessor<number, number>, { what }: Scenario["events"][number]) {
  if (what === "pause") batcher.pause();
  else if (what === "resume") batcher.resume();
  else if (what === "smaller") batcher.tune({ maxBatchSize: 1, maxConcurrentBatches: 1 });
  else if (what === "larger") batcher.tune({ maxBatchSize: 50, maxConcurrentBatches: 5 });
  else if (what === "less room") batcher.tune({ queueLimit: 1 });
  else if (what === "close") void batcher.close();
  else batcher.tune({ adaptiveSizing: what === "adaptive", maxAttempts: 2, lingerMs: 1 });
}

/** What is wrong after the scenario has been played; nothing, it is hoped. */
async function play(plan: Scenario): Promise<string[]> {
  const time = new VirtualTime();
  const chaos = new Chaos(time, plan.seed);
  const { arrivals, ending, events, nested, seed, ...options } = plan;
  const batcher = new BatchProcessor<number, number>(chaos.process, {
    ...options,
    batchTimeoutMs: 40,
    retryBackoffMs: 4,
    random: mulberry32(seed + 1),
    now: time.now,
    timers: time,
  });
  if (nested) chaos.ask = (item) => batcher.add(item);
  for (const event of events) time.set(() => disturb(batcher, event), event.atMs);
  const caller = new Caller(time, batcher);
  const callers: Promise<void>[] = [];
  for (const each of arrivals) {
    callers.push(caller.arrive(each));
    await time.advance(each.afterMs);
  }
  await time.advance(60);
  batcher.resume();
  const ended = ending === "drain" ? batcher.drain() : batcher.close();
  await time.advance(100_000);
  const waiting = [ended, ...callers].map(watch);
  await turn();
  return [
    ...waiting.filter(({ state }) => state === "pending").map(() => "somebody waits for ever"),
    ...leftovers(batcher.stats(), time),
    ...[...caller.settled].flatMap(([item, results]) =>
      wrongWith(item, results, chaos.processed, plan.idempotent),
    ),
  ];
}

function leftovers(stats: BatcherStats, time: VirtualTime): string[] {
  const { accepted, settled, queuedItems, queuedBytes, runningBatches, runningItems } = stats;
  const ended = Object.values(settled).reduce((sum, count) => sum + count);
  const left = queuedItems + queuedBytes + runningBatches + runningItems;
  return [
    ...(ended === accepted ? [] : [`${accepted} accepted, but ${ended} settled`]),
    ...(left === 0 ? [] : [`left over: ${JSON.stringify(stats)}`]),
    ...(time.armed === 0 ? [] : [`${time.armed} timers are still armed`]),
  ];
}

function wrongWith(
  item: number,
  results: readonly PromiseSettledResult<number>[],
  processed: ReadonlyMap<number, number>,
  idempotent: boolean,
): string[] {
  const [result] = results;
  const times = processed.get(item) ?? 0;
  const answer = result?.status === "fulfilled" ? result.value : undefined;
  // An item that shares its key with its neighbour may have the neighbour's answer.
  const owners = answer === undefined ? [] : [item, item ^ 1].filter((own) => own * 2 === answer);
  return [
    ...(results.length === 1 ? [] : [`item ${item} settled ${results.length} times`]),
    ...(times <= 1 || idempotent ? [] : [`item ${item} was processed ${times} times`]),
    ...(answer === undefined || owners.length > 0 ? [] : [`item ${item} has another's result`]),
    ...(owners.every((own) => processed.has(own)) ? [] : [`item ${item}: a result from nowhere`]),
  ];
}

test("every item settles exactly once, none is lost, and none is processed twice unless that is allowed", async () => {
  const holds = fc.asyncProperty(scenario, async (plan) => {
    expect(await play(plan)).toEqual([]);
  });
  await fc.assert(holds, { numRuns: 600 });
}, 120_000);

/** Something broken in a part of the batcher, until it is mended. */
function breaking<P extends object, K extends keyof P>(
  prototype: P,
  name: K,
  broken: (original: P[K]) => P[K],
): () => void {
  const original = prototype[name];
  prototype[name] = broken(original);
  return () => (prototype[name] = original);
}

describe("with a bug planted, it does not hold:", () => {
  test.each<[string, () => () => void]>([
    [
      "an item that left stays queued",
      () => breaking(FairBucket.prototype, "leave", () => () => undefined),
    ],
    [
      "what left is not taken off the count",
      () => breaking(Lanes.prototype, "forget", () => () => undefined),
    ],
    [
      "a refused item is not told",
      () => breaking(Intake.prototype, "refuse", () => () => undefined),
    ],
    ["room is not offered", () => breaking(Engine.prototype, "onRoom", () => () => undefined)],
    [
      "the last result is withheld",
      () =>
        breaking(
          Job.prototype,
          "fulfil",
          (original) =>
            function withhold(this: Job<unknown, unknown>, value) {
              if (this.index !== 3) original.call(this, value);
            },
        ),
    ],
    [
      "results go to the neighbour",
      () =>
        breaking(
          Job.prototype,
          "fulfil",
          (original) =>
            function shift(this: Job<unknown, unknown>, value) {
              original.call(this, typeof value === "number" ? value + 4 : value);
            },
        ),
    ],
    [
      "an abort in a shared item is everybody's",
      () =>
        breaking(
          SharedJob.prototype,
          "join",
          (original) =>
            function join(this: SharedJob<unknown, unknown>, resolve, reject, options) {
              original.call(this, resolve, () => undefined, options);
              void reject;
            },
        ),
    ],
  ])(
    "%s",
    async (_, plant) => {
      const mend = plant();
      try {
        const wrong = fc.asyncProperty(scenario, async (plan) => (await play(plan)).length === 0);
        const details = await fc.check(wrong, { numRuns: 300, endOnFailure: true });
        expect(details.failed).toBe(true);
      } finally {
        mend();
      }
    },
    120_000,
  );
});
