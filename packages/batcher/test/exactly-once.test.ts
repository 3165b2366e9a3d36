import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatcherStats, ItemResult } from "../src/index.ts";
import { httpError, watch } from "./support/backend.ts";
import { mulberry32 } from "./support/simulator.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const arrival = fc.record({
  afterMs: fc.integer({ min: 0, max: 8 }),
  how: fc.constantFrom("add", "processBatch", "stream"),
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
  ending: fc.constantFrom("drain", "close"),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer V> ? V : never;

/** A backend that answers, refuses, fails, breaks its contract or hangs, as the seed has it. */
class Chaos {
  readonly processed = new Map<number, number>();
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
    if (how === "add") {
      const adding = items.map((item) => this.#batcher.add(item, { priority, deadlineMs, signal }));
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

/** What is wrong after the scenario has been played; nothing, it is hoped. */
async function play(plan: Scenario): Promise<string[]> {
  const time = new VirtualTime();
  const chaos = new Chaos(time, plan.seed);
  const { arrivals, ending, seed, ...options } = plan;
  const batcher = new BatchProcessor<number, number>(chaos.process, {
    ...options,
    batchTimeoutMs: 40,
    retryBackoffMs: 4,
    random: mulberry32(seed + 1),
    now: time.now,
    timers: time,
  });
  const caller = new Caller(time, batcher);
  const callers: Promise<void>[] = [];
  for (const each of arrivals) {
    callers.push(caller.arrive(each));
    await time.advance(each.afterMs);
  }
  const ended = ending === "drain" ? batcher.drain() : batcher.close();
  await time.advance(100_000);
  const waiting = [ended, ...callers].map(watch);
  await turn();
  return [
    ...waiting.filter(({ state }) => state === "pending").map(() => "somebody waits for ever"),
    ...leftovers(batcher.stats(), time),
    ...[...caller.settled].flatMap(([item, results]) =>
      wrongWith(item, results, chaos.processed.get(item) ?? 0, plan.idempotent),
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
  processed: number,
  idempotent: boolean,
): string[] {
  const [result] = results;
  const answer = result?.status === "fulfilled" ? result.value : undefined;
  return [
    ...(results.length === 1 ? [] : [`item ${item} settled ${results.length} times`]),
    ...(processed <= 1 || idempotent ? [] : [`item ${item} was processed ${processed} times`]),
    ...(answer === undefined || processed > 0 ? [] : [`item ${item} has a result from nowhere`]),
    ...(answer === undefined || answer === item * 2 ? [] : [`item ${item} has another's result`]),
  ];
}

test("every item settles exactly once, none is lost, and none is processed twice unless that is allowed", async () => {
  const holds = fc.asyncProperty(scenario, async (plan) => {
    expect(await play(plan)).toEqual([]);
  });
  await fc.assert(holds, { numRuns: 500 });
}, 60_000);
