import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatchController, BatchProcessorOptions, BatchRecord } from "../src/index.ts";
import { defaults } from "../src/options.ts";
import { Sizing } from "../src/sizing.ts";
import { httpError, range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const quick: Work = (items) => ({ ms: 100 + 0.05 * items.length });

type Work = (items: readonly number[]) => { readonly ms: number; readonly error?: Error };

/** A batcher with endless work, in virtual time. */
class Load {
  readonly time = new VirtualTime();
  readonly calls: number[][] = [];
  readonly batcher: BatchProcessor<number, number>;
  next: () => number = () => 0;
  #feeding = 0;

  constructor(work: Work, options: BatchProcessorOptions<number, number> = {}) {
    this.batcher = new BatchProcessor<number, number>(
      async (items) => {
        this.calls.push([...items]);
        const { ms, error } = work(items);
        await this.time.delay(ms);
        if (error !== undefined) throw error;
        return [...items];
      },
      { now: this.time.now, timers: this.time, random: () => 0.5, ...options },
    );
  }

  async run(ms: number): Promise<void> {
    const mine = ++this.#feeding;
    const feed = async () => {
      while (this.#feeding === mine)
        await this.batcher.processBatch(Array.from({ length: 4_000 }, this.next));
    };
    void feed();
    await this.time.advance(ms);
    this.#feeding += 1;
  }

  /** Good items per second of the next `ms`. */
  async rate(ms: number): Promise<number> {
    const before = this.batcher.stats().settled.fulfilled;
    await this.run(ms);
    return ((this.batcher.stats().settled.fulfilled - before) / ms) * 1_000;
  }
}

describe("when the first size never passes", () => {
  test.each([
    { adaptiveSizing: true, idempotent: false },
    { adaptiveSizing: false, idempotent: false },
    { adaptiveSizing: true, idempotent: true },
  ])("time-outs lead to smaller batches that pass, nothing is sent twice: %o", async (options) => {
    let serial = 0;
    const load = new Load((items) => ({ ms: 500 * items.length }), options);
    load.next = () => serial++;
    await load.run(10 * 60_000);
    const { batches, settled, sizeLimit } = load.batcher.stats();
    expect(sizeLimit).toBeGreaterThanOrEqual(25);
    expect(settled.fulfilled).toBeGreaterThan(2_000);
    expect(batches.timeout).toBeLessThan(batches.ok);
    const sent = load.calls.flat();
    expect(options.idempotent || new Set(sent).size === sent.length).toBe(true);
  });

  test.each([{}, { idempotent: true }, { adaptiveSizing: false }])(
    "a limit that the server calls a bad request is found: %o",
    async (options) => {
      const error = httpError(400);
      const load = new Load(
        (items) => (items.length > 50 ? { ms: 20, error } : { ms: 20 }),
        options,
      );
      await load.run(60_000);
      const { settled, sizeLimit } = load.batcher.stats();
      expect(sizeLimit).toBe(50);
      expect(settled.rejected).toBeLessThan(settled.fulfilled * 0.02);
    },
  );
});

test.each([{ adaptiveSizing: true }, { adaptiveSizing: false }])(
  "after a hang of 20 minutes the old rate is back within half a minute: %o",
  async (options) => {
    let hangs = false;
    const load = new Load((items) => ({ ms: hangs ? 1e9 : 20 + 0.1 * items.length }), options);
    await load.run(10_000);
    const before = await load.rate(10_000);
    hangs = true;
    await load.run(20 * 60_000);
    hangs = false;
    await load.run(30_000);
    expect((await load.rate(10_000)) / before).toBeGreaterThan(0.8);
  },
);

test("one oversized item that is sent alone changes nothing for the others", async () => {
  const load = new Load(
    (items) =>
      items.includes(-1) ? { ms: 10, error: httpError(413) } : { ms: 10 + 0.05 * items.length },
    { adaptiveSizing: false },
  );
  await load.run(10_000);
  const before = await load.rate(5_000);
  await load.time.advance(5_000);
  const refused = load.batcher.add(-1).catch((error: unknown) => error);
  await load.time.advance(100);
  expect(await refused).toMatchObject({ code: "BATCHER_ITEM_FAILED" });
  expect((await load.rate(5_000)) / before).toBeGreaterThan(0.95);
});

test("the calls that a search repeats count against the size that made them necessary", async () => {
  let item = 0;
  const bad = new Error("bad row");
  const load = new Load(
    (items) => {
      const work = { ms: 10 + 0.01 * items.length };
      return items.includes(1) ? { ...work, error: bad } : work;
    },
    { idempotent: true, maxBatchSize: 1_000 },
  );
  load.next = () => (item++ % 60 === 0 ? 1 : 0);
  await load.run(60_000);
  const claimed = Number(load.batcher.stats().controller["goodputPerSecond"]);
  const measured = await load.rate(60_000);
  expect(claimed / measured).toBeGreaterThan(0.7);
  expect(claimed / measured).toBeLessThan(1.4);
});

describe("tune under load", () => {
  const options = { maxBatchSize: 500 };

  test("of options that do not concern sizes leaves what was learned alone", async () => {
    const load = new Load(quick, options);
    await load.run(60_000);
    const { controller, sizeLimit } = load.batcher.stats();
    expect(sizeLimit).toBeGreaterThan(100);
    load.batcher.tune({
      priorityAgeingMs: 900,
      queueLimit: 90_000,
      lingerMs: 0,
      maxBatchSize: 500,
    });
    expect(load.batcher.stats()).toMatchObject({ controller, sizeLimit });
  });

  test("of the limits goes on from what was learned, within them", async () => {
    const load = new Load(quick, options);
    await load.run(60_000);
    load.batcher.tune({ maxBatchSize: 150 });
    expect(load.batcher.stats().sizeLimit).toBe(150);
    const slow = await load.rate(20_000);
    load.batcher.tune({ maxBatchSize: 500 });
    await load.run(60_000);
    expect(load.batcher.stats().sizeLimit).toBeGreaterThan(150);
    expect(await load.rate(20_000)).toBeGreaterThan(slow * 1.5);
  });

  test("while calls run does not make the controller believe what is not so", async () => {
    const load = new Load(quick, options);
    await load.run(60_005);
    load.batcher.tune({ maxBatchSize: 450 });
    await load.run(20_000);
    const measured = await load.rate(20_000);
    const claimed = Number(load.batcher.stats().controller["goodputPerSecond"]);
    expect(claimed / measured).toBeGreaterThan(0.9);
    expect(claimed / measured).toBeLessThan(1.1);
  });

  test("to switch adaptive sizing off leads to 100 x 4, or to the limits named with it, and on again to what was learned", async () => {
    const load = new Load(quick, options);
    const limits = () => {
      const { sizeLimit, concurrencyLimit } = load.batcher.stats();
      return [sizeLimit, concurrencyLimit];
    };
    await load.run(60_000);
    const { size, concurrency } = load.batcher.stats().controller;
    const learned = [size, concurrency];
    expect(learned).not.toEqual([100, 4]);
    load.batcher.tune({ adaptiveSizing: false });
    expect(limits()).toEqual([100, 4]);
    load.batcher.tune({ lingerMs: 5 });
    expect(limits()).toEqual([100, 4]);
    load.batcher.tune({ maxBatchSize: 300 });
    expect(limits()).toEqual([300, 4]);
    load.batcher.tune({ adaptiveSizing: true, maxBatchSize: 500 });
    expect(limits()).toEqual(learned);
    load.batcher.tune({ adaptiveSizing: false, maxConcurrentBatches: 6 });
    expect(limits()).toEqual([100, 6]);
  });

  test("a controller hears of no call that was sent under another one", () => {
    const sizing = new Sizing(defaults, { controller: undefined, load: undefined });
    const { asked } = sizing.limits(0);
    sizing.started(asked);
    sizing.retune({ ...defaults, adaptiveSizing: false }, { adaptiveSizing: false });
    sizing.record({ ...recordOf(asked.size), settings: asked });
    sizing.record({ ...recordOf(7), settings: { size: 7, concurrency: 1, lingerMs: 0 } });
    expect(sizing.errors).toBe(0);
    expect(sizing.limits(1)).toMatchObject({ size: 100, concurrency: 4 });
  });
});

describe("reading", () => {
  test("asks a custom controller nothing; it is asked once for a batch", async () => {
    let asked = 0;
    const controller: BatchController = {
      next() {
        asked += 1;
        return { size: 10, concurrency: 1, lingerMs: 0 };
      },
      record: () => undefined,
    };
    const batcher = new BatchProcessor<number, number>((items) => Promise.resolve([...items]), {
      controller,
    });
    const read = () => {
      for (const family of batcher.metricFamilies()) if ("read" in family) family.read();
      return batcher.stats();
    };
    expect(read()).toMatchObject({ sizeLimit: 100, concurrencyLimit: 4 });
    expect(asked).toBe(0);
    await batcher.processBatch(range(100));
    await turn();
    expect(asked).toBe(10);
    expect(read()).toMatchObject({ sizeLimit: 10, concurrencyLimit: 1 });
    expect(asked).toBe(10);
  });

  test("does not move the ceiling", async () => {
    const time = new VirtualTime();
    const sizesAfter = async (scrape: boolean) => {
      const sizes: number[] = [];
      const batcher = new BatchProcessor<number, number>(
        (items) => {
          sizes.push(items.length);
          return items.length > 40 ? Promise.reject(httpError(413)) : Promise.resolve([...items]);
        },
        { adaptiveSizing: false, maxBatchSize: 1_000, now: time.now, timers: time },
      );
      await batcher.processBatch(range(1_000));
      for (let scrapes = 0; scrapes < 40; scrapes++) {
        await time.advance(15_000);
        if (scrape) batcher.stats();
      }
      sizes.length = 0;
      await batcher.processBatch(range(1_000));
      return sizes;
    };
    expect(await sizesAfter(true)).toEqual(await sizesAfter(false));
  });
});

function recordOf(size: number): Omit<BatchRecord, "settings"> {
  return {
    batchId: 1,
    attempt: 1,
    size,
    succeeded: size,
    failed: 0,
    outcome: "ok",
    startedAtMs: 0,
    durationMs: 10,
    waitMs: 0,
    saturated: true,
  };
}
