import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EventLoopMonitor } from "../src/event-loop.ts";
import type { DelayHistogram } from "../src/event-loop.ts";
import { Metrics } from "../src/index.ts";
import { maxDescriptors, memoryLimitBytes, openDescriptors } from "../src/process-limits.ts";
import { RuntimeMetrics } from "../src/runtime.ts";
import { countsOf, samplesOf, scrape } from "./components.ts";

/** A delay histogram whose only delay is set by the test. */
class FakeDelays implements DelayHistogram {
  enabled = false;
  count = 0;
  max = 0;

  get mean(): number {
    return this.max;
  }

  enable(): boolean {
    return (this.enabled = true);
  }

  disable(): boolean {
    return !(this.enabled = false);
  }

  reset(): void {
    this.count = 0;
    this.max = 0;
  }

  percentile(): number {
    return this.max;
  }

  record(delayMs: number): void {
    this.count += 1;
    this.max = Math.max(this.max, (delayMs + 10) * 1e6);
  }
}

function fakeLoop() {
  let nowMs = 0;
  const monitors: FakeDelays[] = [];
  const loop = new EventLoopMonitor(
    () => nowMs,
    () => {
      const delays = new FakeDelays();
      monitors.push(delays);
      return delays;
    },
  );
  return {
    loop,
    monitors,
    advance: (ms: number) => (nowMs += ms),
    delay: (ms: number) => monitors.forEach((monitor) => monitor.record(ms)),
  };
}

const EXPECTED = [
  "process_cpu_seconds_total",
  "process_start_time_seconds",
  "process_resident_memory_bytes",
  "process_memory_limit_bytes",
  "process_open_fds",
  "process_max_fds",
  "nodejs_heap_size_total_bytes",
  "nodejs_heap_size_used_bytes",
  "nodejs_heap_size_limit_bytes",
  "nodejs_external_memory_bytes",
  "nodejs_eventloop_lag_mean_seconds",
  "nodejs_eventloop_lag_p50_seconds",
  "nodejs_eventloop_lag_p90_seconds",
  "nodejs_eventloop_lag_p99_seconds",
  "nodejs_eventloop_lag_max_seconds",
  "nodejs_eventloop_utilization_ratio",
  "nodejs_gc_duration_seconds",
];

describe("runtime", () => {
  test("the process is measured under the names of the Prometheus clients", async () => {
    using metrics = new Metrics();
    const families = [...(await scrape(metrics)).keys()];
    expect(families.filter((name) => /^(?:process|nodejs)_/.test(name))).toEqual(EXPECTED);
  });

  test("the values are those of this process", async () => {
    using metrics = new Metrics();
    const families = await scrape(metrics);
    const value = (name: string) => families.get(name)?.samples[0]?.value ?? NaN;
    const { rss, heapUsed } = process.memoryUsage();
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(rss / 2);
    expect(value("nodejs_heap_size_used_bytes")).toBeGreaterThan(heapUsed / 4);
    expect(value("nodejs_heap_size_limit_bytes")).toBeGreaterThan(heapUsed);
    expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
    const ageSeconds = Date.now() / 1000 - value("process_start_time_seconds");
    expect(Math.abs(ageSeconds - process.uptime())).toBeLessThan(1);
    expect(value("nodejs_eventloop_utilization_ratio")).toBeLessThanOrEqual(1);
  });

  test("without the runtime option there is none of it", async () => {
    using metrics = new Metrics({ runtime: false });
    const families = [...(await scrape(metrics)).keys()];
    expect(families.filter((name) => EXPECTED.includes(name))).toEqual([]);
  });

  test("a garbage collection is observed by its kind", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    using runtime = new RuntimeMetrics(() => 0);
    using metrics = new Metrics({ runtime: false });
    metrics.collect(runtime);
    runtime.on("gc", ({ kind }) => kind === "major" && resolve());
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    await promise;
    const counts = await countsOf(metrics, "nodejs_gc_duration_seconds", "kind");
    expect(counts["major"]).toBeGreaterThanOrEqual(1);
  });

  test("metrics that cannot be made leave no monitor behind", () => {
    const dispose = vi.spyOn(RuntimeMetrics.prototype, Symbol.dispose);
    expect(() => new Metrics({ labels: { kind: "x" } })).toThrow(/label kind/);
    expect(dispose).toHaveBeenCalledOnce();
    dispose.mockRestore();
  });

  test.each([
    ["closed", "metrics.close();"],
    ["left open", ""],
  ])("a process with metrics that are %s ends by itself", (_, end) => {
    const index = JSON.stringify(new URL("../src/index.ts", import.meta.url).href);
    const script = `
      const { Metrics } = await import(${index});
      const metrics = new Metrics();
      await metrics.exposition();
      ${end}
    `;
    const { status, signal, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", script],
      { timeout: 20_000 },
    );
    expect({ status, signal, stderr: String(stderr) }).toEqual({
      status: 0,
      signal: null,
      stderr: "",
    });
  });
});

describe("runtime: the event loop", () => {
  test("an idle loop has no delay: the sampling interval is not one", () => {
    const { loop, delay } = fakeLoop();
    expect(loop.delay().max).toBe(0);
    delay(0);
    expect(loop.delay()).toEqual({ mean: 0, p50: 0, p90: 0, p99: 0, max: 0 });
  });

  test("a delay is reported in seconds", () => {
    const { loop, delay } = fakeLoop();
    delay(250);
    expect(loop.delay().max).toBeCloseTo(0.25);
    expect(loop.delay().p99).toBeCloseTo(0.25);
  });

  test("reading does not take a delay away from the next reader", () => {
    const { loop, delay, advance } = fakeLoop();
    delay(250);
    for (let second = 0; second < 30; second += 1) {
      expect(loop.delay().max).toBeCloseTo(0.25);
      advance(1_000);
    }
  });

  test("a delay is forgotten after a minute", () => {
    const { loop, delay, advance } = fakeLoop();
    delay(250);
    advance(30_000);
    expect(loop.delay().max).toBeCloseTo(0.25);
    advance(30_000);
    expect(loop.delay().max).toBe(0);
  });

  test("a reader that comes once in five minutes sees all of them", () => {
    const { loop, delay, advance } = fakeLoop();
    loop.delay();
    advance(10_000);
    delay(250);
    advance(290_000);
    expect(loop.delay().max).toBeCloseTo(0.25);
    advance(300_000);
    expect(loop.delay().max).toBe(0);
  });

  test("a delay is forgotten after a minute, although the clock was set back a day", () => {
    const { loop, delay, advance } = fakeLoop();
    advance(5_000);
    delay(250);
    advance(-86_400_000);
    expect(loop.delay().max).toBeCloseTo(0.25);
    advance(30_000);
    expect(loop.delay().max).toBe(0);
  });

  test("the real monitor sees a loop that is blocked", async () => {
    using loop = new EventLoopMonitor(() => 0);
    const cell = new Int32Array(new SharedArrayBuffer(4));
    while (loop.delay().max < 0.01) {
      Atomics.wait(cell, 0, 0, 25);
      await new Promise(setImmediate);
    }
    expect(loop.delay().max).toBeGreaterThan(loop.delay().p50 - 1e-9);
    expect(loop.utilization()).toBeGreaterThan(0);
  });

  test("disposing stops both monitors", () => {
    const { loop, monitors } = fakeLoop();
    expect(monitors.map(({ enabled }) => enabled)).toEqual([true, true]);
    loop[Symbol.dispose]();
    expect(monitors.map(({ enabled }) => enabled)).toEqual([false, false]);
  });
});

describe("runtime: limits of the process", () => {
  test("a control group's limit is one only when it is below the machine's memory", () => {
    expect(memoryLimitBytes(512, 1024)).toBe(512);
    expect(memoryLimitBytes(0, 1024)).toBeUndefined();
    expect(memoryLimitBytes(2 ** 64, 1024)).toBeUndefined();
  });

  test("descriptors are counted where the system says them", () => {
    const directory = mkdtempSync(join(tmpdir(), "metrics-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const limits = join(directory, "limits");
    writeFileSync(
      limits,
      "Limit  Soft Limit  Hard Limit\nMax open files            1024   4096   files\n",
    );
    expect(maxDescriptors(limits)).toBe(1024);
    writeFileSync(limits, "Max open files            unlimited   unlimited   files\n");
    expect(maxDescriptors(limits)).toBeUndefined();
    expect(maxDescriptors(join(directory, "none"))).toBeUndefined();
    expect(openDescriptors(directory)).toBe(0);
    expect(openDescriptors(join(directory, "none"))).toBeUndefined();
  });

  test("what the system does not say has no sample", async () => {
    using metrics = new Metrics();
    const limit = await samplesOf(metrics, "process_memory_limit_bytes");
    expect(limit.length).toBe(memoryLimitBytes() === undefined ? 0 : 1);
  });
});
