import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isUnsent, failureKind } from "../src/failure-kind.ts";
import { GroupCore } from "../src/group-core.ts";
import { resolveGroupOptions } from "../src/group-options.ts";
import { HangWatch } from "../src/hang-watch.ts";
import type { HealthCheckResult } from "../src/health-check.ts";
import { HedgeQueue } from "../src/hedge-queue.ts";
import { LinkedNode } from "../src/linked-list.ts";
import { PeakEwma } from "../src/peak-ewma.ts";
import { Prober } from "../src/prober.ts";
import { RecentQuantiles } from "../src/recent-quantiles.ts";
import { headerOf, withHeader } from "../src/request-headers.ts";
import { retryAfterMsOf } from "../src/retry-after.ts";
import { SessionTable } from "../src/session-table.ts";
import { SuccessRates } from "../src/success-rates.ts";
import { FakeTime } from "./helpers/fake-time.ts";

describe("the peak-sensitive average", () => {
  test("goes up at once, comes down slowly, and forgets", () => {
    const cost = new PeakEwma(10_000);
    expect(cost.known).toBe(false);
    cost.observe(5, 0);
    cost.observe(500, 0);
    expect(cost.value(0)).toBe(500);
    cost.observe(5, 100);
    expect(cost.value(100)).toBeGreaterThan(490);
    expect(cost.value(10_100)).toBeLessThan(190);
    expect(cost.value(100_000)).toBeLessThan(0.1);
    cost.reset(7, 100_000);
    expect(cost.value(100_000)).toBe(7);
  });

  test("never exceeds the greatest, whatever it sees", () => {
    const values = fc.array(fc.double({ min: 1, max: 1e4, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 5000 }), (latencies, gapMs) => {
        const cost = new PeakEwma(10_000);
        let now = 0;
        for (const latency of latencies) cost.observe(latency, (now += gapMs));
        expect(cost.value(now)).toBeLessThanOrEqual(Math.max(...latencies) * 1.0001);
        expect(cost.value(now)).toBeGreaterThan(0);
      }),
    );
  });
});

describe("recent quantiles", () => {
  test("are within a bucket of the exact ones", () => {
    const values = fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), {
      minLength: 20,
      maxLength: 300,
    });
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.95, 0.99), (latencies, part) => {
        const quantiles = new RecentQuantiles(10_000);
        for (const latency of latencies) quantiles.add(latency, 0);
        const sorted = latencies.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(sorted.length * part) - 1] ?? 0;
        const found = quantiles.get(part, 0) ?? 0;
        expect(found).toBeGreaterThanOrEqual(exact * 0.9999);
        expect(found).toBeLessThanOrEqual(exact * 1.0906);
      }),
    );
  });

  test("say nothing of few values, and forget old ones", () => {
    const quantiles = new RecentQuantiles(1000);
    for (let count = 0; count < 19; count += 1) quantiles.add(5, 0);
    expect(quantiles.get(0.5, 0)).toBeUndefined();
    for (let count = 0; count < 20; count += 1) quantiles.add(500, 1500);
    expect(quantiles.get(0.25, 1500)).toBeLessThan(6);
    expect(quantiles.get(0.25, 2600)).toBeGreaterThan(499);
    expect(quantiles.get(0.25, 9000)).toBeUndefined();
  });
});

function watchOf(limitMs = 100): {
  time: FakeTime;
  watch: HangWatch<{ startedAt: number }>;
  add: () => LinkedNode<{ startedAt: number }>;
  hung: number[];
} {
  const time = new FakeTime();
  const hung: number[] = [];
  const watch = new HangWatch<{ startedAt: number }>({
    now: time.now,
    schedule: time.schedule,
    limitMs: () => limitMs,
    hung: (waiting) => void hung.push(waiting.length),
  });
  const add = (): LinkedNode<{ startedAt: number }> => {
    const node = new LinkedNode({ startedAt: time.now() });
    watch.add(node);
    return node;
  };
  return { time, watch, add, hung };
}

describe("the hang watch", () => {
  test("tells of all that wait, once, when nothing was heard for the limit", () => {
    const { time, watch, add, hung } = watchOf();
    add();
    time.advance(60);
    add();
    expect(watch.oldestAgeMs(time.now())).toBe(60);
    time.advance(39);
    expect(hung).toEqual([]);
    time.advance(1);
    expect(hung).toEqual([2]);
    time.advance(1000);
    expect(hung).toEqual([2]);
    expect(time.pending).toBe(0);
    expect(watch.oldestAgeMs(time.now())).toBe(0);
  });

  test("an answer to any request is a sign of life", () => {
    const { time, watch, add, hung } = watchOf();
    add();
    for (let count = 0; count < 10; count += 1) {
      time.advance(90);
      watch.heard();
    }
    expect(hung).toEqual([]);
    time.advance(100);
    expect(hung).toEqual([1]);
  });

  test("a request that ended is not waited for, and no limit means no timer", () => {
    const { time, watch, add, hung } = watchOf();
    watch.remove(add());
    time.advance(1000);
    expect(hung).toEqual([]);
    expect(time.pending).toBe(0);
    const off = watchOf(Infinity);
    off.add();
    expect(off.time.pending).toBe(0);
  });

  test("a process that stood still does not blame the upstream", () => {
    let now = 0;
    let timer: (() => void) | undefined;
    const hung: number[] = [];
    const watch = new HangWatch<{ startedAt: number }>({
      now: () => now,
      schedule: (callback) => {
        timer = callback;
        return () => undefined;
      },
      limitMs: () => 100,
      hung: (waiting) => void hung.push(waiting.length),
    });
    const node = new LinkedNode({ startedAt: 0 });
    watch.add(node);
    now = 5000;
    timer?.();
    expect(hung).toEqual([]);
    // The answers that were waiting are read before the timer comes again.
    watch.heard();
    now = 5010;
    timer?.();
    expect(hung).toEqual([]);
  });
});

test("the hedge queue asks for each request once, in time, with one timer", () => {
  const time = new FakeTime();
  const hedged: number[] = [];
  let delayMs: number | undefined = 50;
  const queue = new HedgeQueue<{ createdAt: number; hedge: () => void }>(
    time.now,
    time.schedule,
    () => delayMs,
  );
  const add = (): LinkedNode<{ createdAt: number; hedge: () => void }> => {
    const createdAt = time.now();
    const node = new LinkedNode({
      createdAt,
      hedge: () => {
        queue.remove(node);
        hedged.push(createdAt);
      },
    });
    queue.add(node);
    return node;
  };
  add();
  time.advance(20);
  queue.remove(add());
  add();
  expect(time.pending).toBe(1);
  time.advance(29);
  expect(hedged).toEqual([]);
  time.advance(1);
  expect(hedged).toEqual([1000]);
  time.advance(20);
  expect(hedged).toEqual([1000, 1020]);
  expect(time.pending).toBe(0);
  delayMs = undefined;
  add();
  expect(time.pending).toBe(0);
});

function members(rates: readonly number[]): { recent: { successes: number; failures: number } }[] {
  return rates.map((rate) => ({ recent: { successes: rate * 200, failures: (1 - rate) * 200 } }));
}

describe("success rates", () => {
  test("name the one that fails much more than the others, once an interval", () => {
    const rates = new SuccessRates(0);
    const all = members([1, 1, 0.99, 1, 0.98, 0.6]);
    expect(rates.outliers(9999, all)).toEqual([]);
    expect(rates.outliers(10_000, all)).toEqual([all[5]]);
    expect(all[5]?.recent).toEqual({ successes: 0, failures: 0 });
    expect(rates.outliers(10_001, all)).toEqual([]);
  });

  test("need enough upstreams and enough requests", () => {
    const none = members([1, 1, 1, 0]);
    expect(new SuccessRates(0).outliers(10_000, none)).toEqual([]);
    expect(new SuccessRates(0).outliers(10_000, members([1, 1, 1, 1, 0]))).toHaveLength(1);
    const few = members([1, 1, 1, 1, 1, 0.5]);
    for (const { recent } of few) recent.successes = Math.min(recent.successes, 20);
    expect(new SuccessRates(0).outliers(10_000, few)).toEqual([]);
  });
});

test("a failure costs much, ever more to who fails again, and not without end", () => {
  const options = resolveGroupOptions({}, () => undefined);
  const core = new GroupCore("http://localhost", options, () => undefined);
  expect(core.penaltyMs(0, 0)).toBe(100);
  expect(core.penaltyMs(0, 300)).toBe(600);
  expect(core.penaltyMs(0, 9000)).toBe(10_000);
  expect(core.penaltyMs(20_000, 0)).toBe(20_000);
});

function waitMs(value: string): number | undefined {
  return retryAfterMsOf({ "retry-after": value }, () => Date.UTC(2026, 0, 1));
}

test("Retry-After is seconds or a date, and one that has passed is now", () => {
  expect(waitMs(" 3 ")).toBe(3000);
  expect(waitMs("Thu, 01 Jan 2026 00:00:05 GMT")).toBe(5000);
  expect(waitMs("Wed, 31 Dec 2025 23:59:59 GMT")).toBe(0);
  expect(waitMs("soon")).toBeUndefined();
  expect(retryAfterMsOf({})).toBeUndefined();
});

test.each([
  ["timeout", ["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT"]],
  [
    "reset",
    [
      "ECONNABORTED",
      "ECONNRESET",
      "EPIPE",
      "ERR_HTTP2_STREAM_ERROR",
      "HPE_INVALID_CONSTANT",
      "HTTP_POOL_INVALID_RESPONSE",
      "UND_ERR_HEADERS_OVERFLOW",
      "UND_ERR_HTTP_PARSER",
      "UND_ERR_INFO",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      "UND_ERR_RES_EXCEEDED_MAX_SIZE",
      "UND_ERR_SOCKET",
    ],
  ],
  [undefined, ["UND_ERR_INVALID_ARG", "UND_ERR_ABORTED", "HTTP_POOL_EXHAUSTED", ""]],
])("%s is what an upstream is blamed for by code", (kind, codes) => {
  for (const code of codes) {
    const error = Object.assign(new Error("x"), { code });
    expect([code, failureKind(error), isUnsent(error)]).toEqual([code, kind, false]);
  }
});

test("the session table forgets the one unused longest", () => {
  const table = new SessionTable<string>(2);
  table.set("a", "x");
  table.set("b", "y");
  expect(table.get("a")).toBe("x");
  table.set("c", "x");
  expect(table.get("b")).toBeUndefined();
  expect(table.size).toBe(2);
  table.forget("x");
  expect(table.size).toBe(0);
  table.delete("none");
});

describe("headers in every form", () => {
  const forms = {
    "a record": { "X-One": "1", list: ["a", "b"] },
    "a flat list": ["X-One", "1", "list", "a", "list", "b"],
    "a map": new Map<string, string | string[]>([
      ["X-One", "1"],
      ["list", ["a", "b"]],
    ]),
    Headers: new Headers([
      ["X-One", "1"],
      ["list", "a"],
    ]),
  };
  test.each(Object.entries(forms))("%s", (_name, headers) => {
    expect(headerOf(headers, "x-one")).toBe("1");
    expect(headerOf(headers, "list")).toBe("a");
    expect(headerOf(headers, "none")).toBeUndefined();
    expect(withHeader(headers, "x-one", "2")).toBe(headers);
    const more = withHeader(headers, "host", "example.test");
    expect(headerOf(more, "host")).toBe("example.test");
    expect(headerOf(more, "list")).toBe("a");
  });
  test("none", () => {
    expect(headerOf(undefined, "x")).toBeUndefined();
    expect(headerOf(null, "x")).toBeUndefined();
    expect(headerOf({ x: undefined }, "x")).toBeUndefined();
    expect(withHeader(undefined, "x", "1")).toEqual(["x", "1"]);
  });
});

test("a prober probes while it is wanted, one probe at a time, spread by jitter", async () => {
  const time = new FakeTime();
  const results: HealthCheckResult[] = [];
  let wanted = true;
  let checks = 0;
  const settlers: ((result: HealthCheckResult) => void)[] = [];
  const prober = new Prober(
    { intervalMs: 1000, jitter: 0.5, random: () => 0.5, schedule: time.schedule },
    () => {
      checks += 1;
      return new Promise((resolve) => settlers.push(resolve));
    },
    () => wanted,
    (result) => void results.push(result),
  );
  prober.wake();
  prober.wake();
  expect(time.pending).toBe(1);
  time.advance(749);
  expect(checks).toBe(0);
  time.advance(1);
  expect(checks).toBe(1);
  time.advance(10_000);
  prober.wake();
  expect(checks).toBe(1);
  settlers.shift()?.({ ok: true, durationMs: 1 });
  await Promise.resolve();
  await Promise.resolve();
  expect(results).toEqual([{ ok: true, durationMs: 1 }]);
  wanted = false;
  time.advance(750);
  settlers.shift()?.({ ok: true, durationMs: 1 });
  await Promise.resolve();
  await Promise.resolve();
  expect(results).toHaveLength(1);
  expect(time.pending).toBe(0);
  wanted = true;
  prober[Symbol.dispose]();
  prober.wake();
  expect(time.pending).toBe(0);
});

describe("a watch over requests that may take long", () => {
  test("their age counts from the last answer, up to a second, and never as a hang", () => {
    const time = new FakeTime();
    const hung: unknown[] = [];
    const watch = new HangWatch<{ startedAt: number }>({
      now: time.now,
      schedule: time.schedule,
      limitMs: () => 100,
      hung: (waiting) => void hung.push(waiting),
    });
    const startedAt = time.now();
    const node = new LinkedNode({ startedAt });
    watch.add(node, true);
    time.advance(300);
    expect(watch.oldestAgeMs(time.now())).toBe(300);
    watch.heard();
    expect(watch.oldestAgeMs(time.now())).toBe(0);
    time.advance(400);
    expect(watch.oldestAgeMs(time.now())).toBe(400);
    time.advance(60_000);
    expect(watch.oldestAgeMs(time.now())).toBe(1000);
    const other = new LinkedNode({ startedAt: time.now() });
    watch.add(other);
    time.advance(99);
    expect(watch.oldestAgeMs(time.now())).toBe(1000);
    watch.remove(node, true);
    expect(watch.oldestAgeMs(time.now())).toBe(99);
    expect(hung).toEqual([]);
    time.advance(1);
    expect(hung).toHaveLength(1);
    watch[Symbol.dispose]();
    expect(time.pending).toBe(0);
  });
});
