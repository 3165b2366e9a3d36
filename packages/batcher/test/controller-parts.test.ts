import { describe, expect, test } from "vitest";
import { CallStats } from "../src/call-stats.ts";
import { ChangeDetector } from "../src/change-detector.ts";
import { BatchProcessor } from "../src/index.ts";
import type { BatchRecord } from "../src/index.ts";
import { LossBudget } from "../src/loss-budget.ts";
import { SearchPlan } from "../src/search-plan.ts";
import type { SearchBounds } from "../src/search-plan.ts";
import { ShareClock } from "../src/share-clock.ts";
import { SizeCeiling } from "../src/size-ceiling.ts";
import { sizeHintOf } from "../src/size-hint.ts";
import { Trial } from "../src/trial.ts";
import { Window } from "../src/window.ts";
import { range } from "./support/backend.ts";
import { Random } from "../bench/proof/random.ts";

const home = { size: 100, concurrency: 4, lingerMs: 0 };
const bounds: SearchBounds = {
  maxBatchSize: 1_000,
  maxConcurrentBatches: 32,
  home,
  refusedSize: Infinity,
  mayGrow: true,
};

function call(durationMs: number, succeeded = 100): BatchRecord {
  return {
    batchId: 1,
    attempt: 1,
    size: succeeded,
    succeeded,
    failed: 0,
    outcome: "ok",
    startedAtMs: 0,
    durationMs,
    waitMs: 0,
    saturated: true,
    settings: home,
  };
}

/** `count` calls of about `typicalMs`, each charged for itself alone. */
function calls(
  count: number,
  typicalMs: number,
  random: Random,
  objectiveMs = Infinity,
): CallStats {
  const stats = new CallStats();
  for (let index = 0; index < count; index++) {
    const durationMs = typicalMs * Math.exp(0.15 * random.normal());
    stats.add(call(durationMs), durationMs, objectiveMs);
  }
  return stats;
}

/** After three alarms that were of use, or of none. */
function callsUntilAlarm(useful: boolean): number {
  const detector = new ChangeDetector();
  for (let time = 0; time < 3; time++) detector.judge(useful);
  for (let index = 0; index < 50; index++) detector.add(50);
  for (let index = 1; index < 1_000; index++) if (detector.add(100) !== undefined) return index;
  return Infinity;
}

describe("what a call is charged", () => {
  test("adds up to the busy time, whatever overlaps", () => {
    const clock = new ShareClock();
    clock.start(0);
    clock.start(10);
    const first = clock.charge(0, 30);
    clock.end(30);
    const second = clock.charge(10, 50);
    clock.end(50);
    clock.start(1_000);
    const third = clock.charge(1_000, 1_005);
    expect([first, second, third]).toEqual([20, 30, 5]);
  });

  test("memory is bounded while it is never idle", () => {
    const clock = new ShareClock();
    clock.start(0);
    for (let ms = 1; ms < 20_000; ms++) {
      clock.start(ms);
      expect(clock.charge(ms - 1, ms)).toBe(1);
      clock.end(ms);
      expect(clock.points).toBeLessThanOrEqual(2 * 4_096);
    }
    expect(clock.running).toBe(1);
  });
});

function addTo(window: Window, count: number, saturated: boolean): void {
  for (let index = 0; index < count; index++) window.add({ ...call(10), saturated }, 10, false);
}

describe("a window", () => {
  test("in which most calls were not full is no measure of its settings", () => {
    const window = new Window(home, 8, Infinity);
    addTo(window, 5, false);
    addTo(window, 4, true);
    expect(window.complete).toBe(false);
    addTo(window, 1, true);
    expect(window.complete).toBe(true);
  });

  test("in which hardly any call was full is given up", () => {
    const window = new Window(home, 8, Infinity);
    addTo(window, 16, false);
    expect(window.hopeless).toBe(false);
    addTo(window, 1, false);
    expect(window.hopeless).toBe(true);
  });
});

describe("detection of a change", () => {
  test.each([
    ["slower", 1.5],
    ["faster", 1 / 1.5],
  ] as const)("calls that became %s by half are noticed within 40 of them", (change, factor) => {
    for (let seed = 1; seed <= 20; seed++) {
      const [random, detector] = [new Random(seed), new ChangeDetector()];
      const next = (typicalMs: number) => detector.add(typicalMs * Math.exp(0.2 * random.normal()));
      for (let index = 0; index < 200; index++) next(50);
      const found = Array.from({ length: 40 }, () => next(50 * factor));
      expect(found.find((one) => one !== undefined)).toBe(change);
    }
  });

  test("20,000 calls of one kind, and one outlier in 100, raise hardly an alarm", () => {
    let alarms = 0;
    for (let seed = 1; seed <= 5; seed++) {
      const [random, detector] = [new Random(seed), new ChangeDetector()];
      for (let index = 0; index < 20_000; index++) {
        const outlier = random.uniform() < 0.01 ? 5 : 1;
        if (detector.add(50 * outlier * Math.exp(0.2 * random.normal())) !== undefined) alarms += 1;
      }
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  test("an alarm for nothing makes it more cautious, one of use does not", () => {
    expect(callsUntilAlarm(false)).toBeGreaterThan(callsUntilAlarm(true));
  });
});

describe("a trial", () => {
  const terms = { objectiveMs: Infinity, tolerance: 0, worthIt: 0.01, mostPairs: 7 };
  const verdictOf = (ratio: number, seed: number, changes: Partial<typeof terms> = {}) => {
    const random = new Random(seed);
    const trial = new Trial({ ...home, size: 200 }, { ...terms, ...changes });
    for (let pair = 1; pair < 20; pair++) {
      const count = trial.windowCalls;
      const verdict = trial.add(calls(count, 50, random), calls(count, 50 / ratio, random));
      if (verdict !== "undecided") return { verdict, pair };
    }
    throw new Error("never decided");
  };

  test("of something twice as good is won at once, of something half as good lost at once", () => {
    for (let seed = 1; seed <= 50; seed++) {
      expect(verdictOf(2, seed)).toEqual({ verdict: "better", pair: 1 });
      expect(verdictOf(0.5, seed)).toEqual({ verdict: "worse", pair: 1 });
    }
  });

  test("of something 5 % worse is hardly ever won, and ends", () => {
    const won = Array.from({ length: 200 }, (_, seed) => verdictOf(0.95, seed).verdict);
    expect(won.filter((verdict) => verdict !== "worse").length).toBeLessThanOrEqual(4);
  });

  test("an even match goes to the smaller, and only to the smaller", () => {
    const ties = Array.from({ length: 100 }, (_, seed) => verdictOf(1, seed, { tolerance: 0.02 }));
    expect(ties.filter(({ verdict }) => verdict === "tie").length).toBeGreaterThan(60);
    const moves = Array.from({ length: 100 }, (_, seed) => verdictOf(1, seed).verdict);
    expect(moves.filter((verdict) => verdict !== "worse").length).toBeLessThan(15);
  });

  test("what misses the latency objective loses however good it is", () => {
    const random = new Random(1);
    const trial = new Trial(home, { ...terms, objectiveMs: 100 });
    const verdict = trial.add(calls(8, 20, random, 100), calls(8, 150, random, 100));
    expect(verdict).toBe("worse");
  });

  test("from settings that miss the objective it leads to shorter calls, though fewer items come through", () => {
    const random = new Random(1);
    const trial = new Trial(home, { ...terms, objectiveMs: 100 });
    const shorter = new CallStats();
    for (let index = 0; index < 8; index++) shorter.add(call(120, 10), 120, 100);
    expect(trial.add(calls(8, 300, random, 100), shorter)).toBe("better");
  });
});

describe("the search plan", () => {
  test("half way to a refused size, and never at it or beyond", () => {
    const plan = new SearchPlan();
    expect(plan.next(home, { ...bounds, refusedSize: 150 }, 0)).toMatchObject({ size: 122 });
    const tight = plan.next(home, { ...bounds, refusedSize: 101 }, 0);
    expect(tight?.size).toBe(100);
  });

  test("home is a candidate of the first round from everywhere else", () => {
    const plan = new SearchPlan();
    const seen = [];
    const far = { size: 400, concurrency: 8, lingerMs: 0 };
    for (let turn = 0; turn < 7; turn++) {
      seen.push(plan.next(far, bounds, 0));
      plan.miss(0);
    }
    expect(seen).toContainEqual(home);
  });

  test("when nothing pays it rests, longer each time, until it begins anew", () => {
    const plan = new SearchPlan();
    const rests: number[] = [];
    let nowMs = 0;
    for (let turn = 0; rests.length < 6 && turn < 10_000; turn++) {
      if (plan.next(home, bounds, nowMs) !== undefined) {
        plan.miss(nowMs);
        continue;
      }
      const since = nowMs;
      while (plan.next(home, bounds, nowMs) === undefined) nowMs += 1_000;
      rests.push(nowMs - since);
    }
    expect(rests).toEqual([4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    while (plan.next(home, bounds, nowMs) !== undefined) plan.miss(nowMs);
    plan.restart("size-up");
    expect(plan.next(home, bounds, nowMs)).toMatchObject({ size: 200, concurrency: 4 });
  });

  test("without room to grow only smaller settings come", () => {
    const plan = new SearchPlan();
    for (let turn = 0; turn < 30; turn++) {
      const next = plan.next(home, { ...bounds, mayGrow: false }, 0);
      if (next === undefined) break;
      expect(next.size <= 100 && next.concurrency <= 4).toBe(true);
      plan.miss(0);
    }
  });
});

describe("the size ceiling", () => {
  test("is half of a refused size, or what passed if that is more", () => {
    const ceiling = new SizeCeiling();
    ceiling.refuse(1_000, 0);
    expect(ceiling.at(1)).toBe(500);
    ceiling.pass(700, 1, 10);
    expect(ceiling.at(2)).toBe(700);
    ceiling.refuse(800, 3);
    expect([ceiling.at(4), ceiling.refusedAt(4)]).toEqual([700, 800]);
  });

  test("a limit that the server names is taken at its word", () => {
    const ceiling = new SizeCeiling();
    ceiling.refuse(1_000, 0, 640);
    expect([ceiling.at(1), ceiling.refusedAt(1)]).toEqual([640, 641]);
  });

  test("a time-out lowers it once for all calls under way; of a size that passed before only three in a row do", () => {
    const ceiling = new SizeCeiling();
    for (let slot = 0; slot < 4; slot++) ceiling.timeout(400, 0, 30_000);
    expect(ceiling.at(0)).toBe(200);
    ceiling.pass(200, 0, 20_000);
    ceiling.timeout(200, 0, 30_000);
    ceiling.timeout(200, 0, 30_000);
    expect(ceiling.at(0)).toBe(200);
    ceiling.timeout(200, 0, 30_000);
    expect(ceiling.at(0)).toBe(100);
  });

  test("what a hang took away comes back call by call, and not when the size was the cause after all", () => {
    const ceiling = new SizeCeiling();
    ceiling.pass(100, 0, 20);
    for (let size = 100; size >= 1; size >>= 1)
      for (let slot = 0; slot < 3; slot++) ceiling.timeout(size, 0, 30_000);
    expect(ceiling.at(0)).toBe(1);
    const climb = () => {
      for (let turns = 0; turns < 10; turns++) ceiling.pass(Math.min(ceiling.at(0), 100), 0, 20);
      return ceiling.at(0);
    };
    expect(climb()).toBeGreaterThanOrEqual(100);
    for (let slot = 0; slot < 3; slot++) ceiling.timeout(64, 0, 30_000);
    expect(climb()).toBeLessThan(64);
  });

  test("full batches that fail as a whole bring it down, calls of one item never do", () => {
    const ceiling = new SizeCeiling();
    for (let turns = 0; turns < 100; turns++) {
      ceiling.refuse(1, 0);
      ceiling.timeout(1, 0, 30_000);
      ceiling.suspect(1, 0);
    }
    expect(ceiling.at(0)).toBe(Infinity);
    for (let turns = 0; turns < 2; turns++) ceiling.suspect(100, 0);
    expect(ceiling.at(0)).toBe(Infinity);
    ceiling.suspect(100, 0);
    expect(ceiling.at(0)).toBe(50);
    ceiling.pass(50, 0, 20);
    for (let turns = 0; turns < 11; turns++) ceiling.suspect(50, 0);
    expect(ceiling.at(0)).toBe(50);
    ceiling.suspect(50, 0);
    expect(ceiling.at(0)).toBe(25);
  });

  test("reading it changes nothing", () => {
    const [read, unread] = [new SizeCeiling(), new SizeCeiling()];
    for (const ceiling of [read, unread]) ceiling.refuse(1_000, 0);
    for (let now = 0; now < 3_600_000; now += 15_000) {
      read.at(now);
      read.refusedAt(now);
    }
    expect(read.at(3_600_000)).toBe(unread.at(3_600_000));
    expect(unread.at(3_600_000)).toBe(1_000);
  });

  test("is probed after 30 s, and later each time the probe is refused", () => {
    const ceiling = new SizeCeiling();
    ceiling.refuse(100, 0);
    expect([ceiling.at(29_999), ceiling.at(30_000)]).toEqual([50, 100]);
    ceiling.refuse(100, 30_000);
    expect([ceiling.at(89_999), ceiling.at(90_000)]).toEqual([50, 100]);
  });
});

test("a size hint is the error's maxItems, if it is of use", () => {
  expect(sizeHintOf({ maxItems: 64.5 }, 100)).toBe(64);
  for (const maxItems of [0, -1, 100, 1_000, Number.NaN, "64", undefined])
    expect(sizeHintOf({ maxItems }, 100)).toBeUndefined();
  expect(sizeHintOf(undefined, 100)).toBeUndefined();
  const hostile = Object.defineProperty({}, "maxItems", {
    get: () => {
      throw new Error("no");
    },
  });
  expect(sizeHintOf(hostile, 100)).toBeUndefined();
});

test("a batcher keeps to the limit that a refusal names", async () => {
  const batcher = new BatchProcessor<number, number>(
    async (items) => {
      if (items.length > 30) throw Object.assign(new Error("413"), { status: 413, maxItems: 30 });
      return [...items];
    },
    { maxBatchSize: 100 },
  );
  const results = await batcher.processBatch(range(100));
  expect(results.every(({ status }) => status === "fulfilled")).toBe(true);
  expect(batcher.stats().sizeLimit).toBe(30);
  await batcher.close();
});

test("the loss budget forbids trials beyond its share and its advance, until time has passed", () => {
  const budget = new LossBudget(2);
  expect(budget.allows(0, 10, 0.01)).toBe(true);
  budget.book(100, 0.5);
  expect(budget.allows(1_000, 10, 0.01)).toBe(false);
  expect(budget.allows(3_001, 10, 0.01)).toBe(true);
});
