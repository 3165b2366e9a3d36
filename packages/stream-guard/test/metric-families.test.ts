import { expect, test } from "vitest";
import {
  AdmissionError,
  LeakDetector,
  MemoryLimitError,
  MemoryMonitor,
  ResourcePool,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { MetricFamily, ScalarFamily } from "@mcp-accel/stream-guard";
import { FakeTime } from "./fake-time.ts";

type Recorded = { readonly value: number; readonly labels: readonly string[] };

function parts() {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ maxMemoryBytes: 1000, maxSessions: 2, now, schedule });
  const pool = new ResourcePool({ capacity: 1, name: "upstream", queueLimit: 0, now, schedule });
  const monitor = new MemoryMonitor({
    limitBytes: 100,
    sample: () => ({ heapUsedBytes: 10, rssBytes: 85 }),
    now,
    schedule,
  });
  const detector = new LeakDetector({ guard, now, schedule });
  return { time, guard, pool, monitor, detector };
}

async function exercise({
  time,
  guard,
  pool,
  monitor,
  detector,
}: ReturnType<typeof parts>): Promise<void> {
  const session = guard.open();
  session.reserve(950);
  expect(session.tryReserve(100)).toBe(false);
  expect(() => session.reserve(100)).toThrow(MemoryLimitError);
  expect(() => guard.open()).toThrow(AdmissionError);
  const waiting = session.reserveWhenAvailable(100);
  time.advance(20);
  session.release(950);
  await waiting;
  time.advance(1000);
  await session.close("a reason of my own");
  const permit = await pool.acquire();
  await pool.acquire().catch(() => {});
  time.advance(500);
  permit.release();
  monitor.check();
  detector.check();
}

function scalars(families: readonly MetricFamily[]): readonly ScalarFamily[] {
  return families.filter((family): family is ScalarFamily => family.type !== "histogram");
}

const PREFIX = /^stream_guard_[a-z][a-z_]*[a-z]$/;
const BASE_UNITS = ["seconds", "bytes", "ratio"];

test("names are legal, carry their unit, and counters end in _total", () => {
  const { guard, pool, monitor, detector } = parts();
  const families = [guard, pool, monitor, detector].flatMap((part): readonly MetricFamily[] =>
    part.metricFamilies(),
  );
  for (const { name, type, unit, help } of families) {
    expect(name).toMatch(PREFIX);
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(["", ...BASE_UNITS]).toContain(unit);
    expect(name.replace(/_total$/, "").endsWith(unit === "" ? "" : `_${unit}`)).toBe(true);
    expect(help.length).toBeGreaterThan(5);
  }
  expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
});

test("labels emitted are the labels declared, before and after work", async () => {
  const all = parts();
  const families = [all.guard, all.pool, all.monitor, all.detector].flatMap(
    (part): readonly MetricFamily[] => part.metricFamilies(),
  );
  const check = () => {
    for (const family of families) {
      if (family.type === "histogram") continue;
      for (const { labels = {} } of family.read())
        expect(Object.keys(labels)).toEqual(family.labels);
    }
  };
  check();
  await exercise(all);
  check();
});

test("counters only rise, and the gauges tell the state", async () => {
  const all = parts();
  const families = [all.guard, all.pool, all.monitor, all.detector].flatMap(
    (part): readonly MetricFamily[] => part.metricFamilies(),
  );
  const counters = families.filter((family): family is ScalarFamily => family.type === "counter");
  const read = () =>
    counters.map((family) => family.read().reduce((sum, { value }) => sum + value, 0));
  const before = read();
  await exercise(all);
  const after = read();
  for (const [index, value] of after.entries())
    expect(value).toBeGreaterThanOrEqual(before[index] ?? 0);
  const sample = (name: string) =>
    (families.find((family) => family.name === name) as ScalarFamily).read();
  expect(sample("stream_guard_reservations_refused_total")).toContainEqual({
    value: 1,
    labels: { scope: "session" },
  });
  expect(sample("stream_guard_sessions_closed_total")).toContainEqual({
    value: 1,
    labels: { reason: "other" },
  });
  expect(sample("stream_guard_sessions_rejected_total")).toContainEqual({
    value: 1,
    labels: { reason: "memory" },
  });
  expect(sample("stream_guard_pool_rejected_total")).toContainEqual({
    value: 1,
    labels: { pool: "upstream", reason: "queueFull" },
  });
  expect(sample("stream_guard_process_level")).toContainEqual({
    value: 1,
    labels: { level: "high" },
  });
  expect(sample("stream_guard_memory_used_bytes")).toEqual([{ value: 0 }]);
  const values = scalars(families).flatMap((family) => family.read().map(({ value }) => value));
  expect(values.every((value) => Number.isFinite(value))).toBe(true);
});

test("histograms are fed from events, in base units", async () => {
  const all = parts();
  const recorded = new Map<string, Recorded[]>();
  const listen = (part: {
    on(event: string, listener: (event: never) => void): unknown;
    metricFamilies(): readonly MetricFamily[];
  }) => {
    for (const family of part.metricFamilies()) {
      if (family.type !== "histogram") continue;
      const { name, event, labels } = family;
      recorded.set(name, []);
      expect([...family.buckets]).toEqual(family.buckets.toSorted((a, b) => a - b));
      part.on(event, (seen) => {
        const emitted = Object.keys(family.labelsOf?.(seen) ?? {});
        expect(emitted).toEqual(labels);
        recorded.get(name)?.push({ value: family.value(seen), labels: emitted });
      });
    }
  };
  for (const part of [all.guard, all.pool, all.monitor]) listen(part as never);
  await exercise(all);
  const values = Object.fromEntries(
    [...recorded].map(([name, seen]) => [name, seen.map(({ value }) => value)]),
  );
  expect(values).toEqual({
    stream_guard_session_duration_seconds: [1.02],
    stream_guard_session_peak_bytes: [950],
    stream_guard_reserve_wait_seconds: [0.02],
    stream_guard_pool_wait_seconds: [0],
    stream_guard_pool_hold_seconds: [0.5],
  });
});
