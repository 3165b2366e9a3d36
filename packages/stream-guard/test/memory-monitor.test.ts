import { getHeapStatistics } from "node:v8";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError, MemoryMonitor, memoryLimitBytes } from "@mcp-accel/stream-guard";
import type { HookLevel, MemoryMonitorOptions, StreamGuardOptions } from "@mcp-accel/stream-guard";
import { containerLimitBytes } from "../src/memory-limits.ts";
import { FakeTime, settle } from "./fake-time.ts";

const MIB = 1024 * 1024;

function monitorOf(options: MemoryMonitorOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const memory = { heapUsedBytes: 0, rssBytes: 0 };
  const sample = () => ({ ...memory });
  const monitor = new MemoryMonitor({ limitBytes: 1000, sample, now, schedule, ...options });
  const at = (rssBytes: number) => {
    memory.rssBytes = rssBytes;
    return monitor.check();
  };
  return { monitor, time, memory, at };
}

describe("levels", () => {
  test("they rise at their threshold and fall only with the hysteresis", () => {
    const { at } = monitorOf();
    expect([699, 700, 651, 649, 900, 851, 849, 760, 740, 0].map(at)).toEqual([
      "normal",
      "elevated",
      "elevated",
      "normal",
      "critical",
      "critical",
      "high",
      "high",
      "elevated",
      "normal",
    ]);
  });

  test("the tighter of heap and RSS decides", () => {
    const { monitor, memory } = monitorOf();
    memory.heapUsedBytes = 850;
    memory.rssBytes = 100;
    expect(monitor.check()).toBe("high");
    expect(monitor.stats()).toMatchObject({
      ratio: 0.85,
      heapUsedBytes: 850,
      rssBytes: 100,
      checks: 1,
      checkedAt: 1_000_000,
    });
  });

  test("a change is reported with what it was and what was seen", () => {
    const { monitor, at } = monitorOf({ levels: { elevated: 0.5, hysteresis: 0 } });
    const events: unknown[] = [];
    monitor.on("level", (event) => events.push(event));
    at(500);
    at(501);
    expect(events).toEqual([
      { level: "elevated", previous: "normal", ratio: 0.5, heapUsedBytes: 0, rssBytes: 500 },
    ]);
  });

  test("it samples at once and then at every interval until it is stopped", () => {
    const { monitor, time } = monitorOf({ intervalMs: 100 });
    monitor.start().start();
    time.advance(250);
    expect(monitor.stats().checks).toBe(3);
    monitor[Symbol.dispose]();
    expect(time.pending).toBe(0);
    monitor.start();
    expect(monitor.stats().checks).toBe(4);
  });

  test("by default it measures this process against its real limits", () => {
    const monitor = new MemoryMonitor();
    monitor.check();
    const stats = monitor.stats();
    expect(stats.heapLimitBytes).toBe(getHeapStatistics().heap_size_limit);
    expect(stats.rssBytes).toBeGreaterThan(10 * MIB);
    expect(stats.ratio).toBeGreaterThan(0);
    expect(stats.rssLimitBytes).toBeGreaterThan(stats.rssBytes);
  });

  test("a guard takes it as its monitor", () => {
    const { monitor } = monitorOf();
    const options: StreamGuardOptions = { monitor };
    expect(options.monitor?.level).toBe("normal");
  });
});

describe("hooks", () => {
  test("a hook runs whenever its level is entered from below, also past it", async () => {
    const { monitor, at } = monitorOf();
    const runs: string[] = [];
    monitor.addHook("elevated", ({ level }) => void runs.push(`elevated hook at ${level}`));
    const remove = monitor.addHook(
      "high",
      async ({ level }) => void runs.push(`high hook at ${level}`),
    );
    for (const bytes of [950, 960, 0, 720]) {
      at(bytes);
      await settle();
    }
    remove();
    at(850);
    expect(runs).toEqual([
      "elevated hook at critical",
      "high hook at critical",
      "elevated hook at elevated",
    ]);
    expect(monitor.stats().hooksRun).toBe(3);
  });

  test("a hook that is still running is not started again", async () => {
    const { monitor, at } = monitorOf();
    const gate = Promise.withResolvers<void>();
    let runs = 0;
    monitor.addHook("critical", () => {
      runs += 1;
      return gate.promise;
    });
    for (const bytes of [950, 0, 950]) at(bytes);
    expect(runs).toBe(1);
    gate.resolve();
    await settle();
    for (const bytes of [0, 950]) at(bytes);
    expect(runs).toBe(2);
  });

  test("a hook that fails is reported and does not stop the others", async () => {
    const { monitor, at } = monitorOf();
    const errors: unknown[] = [];
    let ran = false;
    monitor.on("hookError", ({ level, error }) => errors.push([level, (error as Error).message]));
    monitor.addHook("high", () => {
      throw new Error("no");
    });
    monitor.addHook("high", () => {
      ran = true;
    });
    at(850);
    await settle();
    expect(errors).toEqual([["high", "no"]]);
    expect(ran).toBe(true);
    expect(monitor.stats().hookErrors).toBe(1);
  });
});

describe("bad input", () => {
  test.each<[string, MemoryMonitorOptions]>([
    ["limitBytes", { limitBytes: 0 }],
    ["levels", { levels: { elevated: 0.9 } }],
    ["levels.hysteresis", { levels: { hysteresis: 0.7 } }],
    ["intervalMs", { intervalMs: 0 }],
    ["sample", { sample: 1 as never }],
  ])("the wrong option %s is named", (argument, options) => {
    expect(() => monitorOf(options)).toThrow(expect.objectContaining({ argument }));
  });

  test.each(["normal", "panic"])("there are no hooks for %s", (level) => {
    const { monitor } = monitorOf();
    expect(() => monitor.addHook(level as HookLevel, () => {})).toThrow(InvalidArgumentError);
  });
});

describe("memory limits", () => {
  const heap = getHeapStatistics().heap_size_limit;

  test.each<[string, Record<string, string>, number]>([
    ["no control group leaves V8's limit", {}, heap],
    ["v2 max means none", { "/sys/fs/cgroup/memory.max": "max\n" }, heap],
    ["v2 counts when it is smaller", { "/sys/fs/cgroup/memory.max": "1048576\n" }, MIB],
    [
      "v1 counts when there is no v2",
      { "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152\n" },
      2 * MIB,
    ],
    [
      "v1's number for none is none",
      { "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n" },
      heap,
    ],
    [
      "a larger container leaves V8's limit",
      { "/sys/fs/cgroup/memory.max": String(2 ** 50) },
      heap,
    ],
    ["an empty file is none", { "/sys/fs/cgroup/memory.max": "\n" }, heap],
  ])("%s", (_, files, limit) => {
    expect(memoryLimitBytes((path) => files[path])).toBe(limit);
  });

  test("a container without a limit has none, in the words of either version", () => {
    const v1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
    expect(
      containerLimitBytes((path) => (path === v1 ? "9223372036854771712" : undefined)),
    ).toBeUndefined();
    expect(containerLimitBytes(() => "max")).toBeUndefined();
    expect(containerLimitBytes(() => "4096")).toBe(4096);
  });

  test("the real machine has a limit", () => {
    expect(memoryLimitBytes()).toBeLessThanOrEqual(heap);
    expect(memoryLimitBytes()).toBeGreaterThan(MIB);
  });
});
