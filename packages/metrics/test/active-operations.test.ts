import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MCP_METHODS, Metrics } from "../src/index.ts";
import type { Stopwatch } from "../src/index.ts";
import { samplesOf } from "./components.ts";

const NAME = "mcp_server_active_operations";
const PING = { method: "ping", transport: "stdio" } as const;

function quiet(options: ConstructorParameters<typeof Metrics>[0] = {}): Metrics {
  return new Metrics({ runtime: false, ...options });
}

/** Operations that run, by method and tool, such as `tools/call|search`. */
async function active(metrics: Metrics): Promise<Record<string, number>> {
  const entries = (await samplesOf(metrics, NAME)).map(({ labels, value }) => {
    const { mcp_method_name: method = "", gen_ai_tool_name: tool = "" } = labels;
    return [`${method}|${tool}`, value] as const;
  });
  return Object.fromEntries(entries);
}

describe("active operations", () => {
  test("an operation is active from its start until it is recorded, and ends once", async () => {
    using metrics = quiet();
    const first = metrics.operations.start({ method: "ping" });
    metrics.operations.start({ method: "ping" });
    expect(await active(metrics)).toEqual({ "ping|": 2 });
    first.record(PING);
    first.record(PING);
    expect(await active(metrics)).toEqual({ "ping|": 1 });
  });

  test("a label without a value is left out", async () => {
    using metrics = quiet();
    metrics.operations.start({ method: "ping" });
    metrics.operations.start({ method: "", tool: "search" });
    expect((await samplesOf(metrics, NAME)).map(({ labels }) => labels)).toEqual([
      { mcp_method_name: "ping" },
      { gen_ai_tool_name: "search" },
    ]);
  });

  test("the constant labels of all series are on it too", async () => {
    using metrics = quiet({ labels: { service: "shop" } });
    metrics.operations.start({ method: "ping" });
    const [sample] = await samplesOf(metrics, NAME);
    expect(sample?.labels).toEqual({ mcp_method_name: "ping", service: "shop" });
  });

  test("a stopwatch without a method is not counted, as nobody has to record it", async () => {
    using metrics = quiet();
    metrics.operations.start();
    metrics.operations.start().record(PING);
    expect(await active(metrics)).toEqual({});
  });

  test("an operation ends even when its duration cannot be recorded", async () => {
    using metrics = quiet({ now: () => NaN });
    metrics.operations.start({ method: "ping" }).record(PING);
    expect(await active(metrics)).toEqual({ "ping|": 0 });
    expect(metrics.stats().collectErrors).toBe(1);
  });

  test("an operation ends where it began, whatever it is recorded as and whatever is known since", async () => {
    using metrics = quiet();
    const stopwatch = metrics.operations.start({ method: "tools/call", tool: "early" });
    metrics.operations.know(["search"]);
    stopwatch.record({ method: "tools/call", tool: "search", transport: "http" });
    expect(await active(metrics)).toEqual({ "tools/call|early": 0 });
  });

  test("made-up methods and tools are _OTHER, with the tools that durations know", async () => {
    using metrics = quiet({ maxLabelValues: 2 });
    metrics.operations.record({ ...PING, method: "tools/call", tool: "a", durationSeconds: 1 });
    for (const tool of ["b", "c", "d", "a"])
      metrics.operations.start({ method: "tools/call", tool });
    metrics.operations.start({ method: "tools/hack" });
    metrics.operations.start({ method: undefined as never, tool: 7 as never });
    expect(await active(metrics)).toEqual({
      "tools/call|b": 1,
      "tools/call|_OTHER": 2,
      "tools/call|a": 1,
      "_OTHER|": 1,
      "_OTHER|_OTHER": 1,
    });
  });

  test("there are at most 2,000 series and the one of all others, and none goes below 0", async () => {
    using metrics = quiet({ maxLabelValues: 10_000 });
    const started: Stopwatch[] = [];
    for (let index = 0; index < 2_100; index += 1)
      started.push(metrics.operations.start({ method: "tools/call", tool: `t${index}` }));
    const running = await active(metrics);
    expect(Object.keys(running)).toHaveLength(2_001);
    expect(running["_OTHER|_OTHER"]).toBe(100);
    for (const stopwatch of started) stopwatch.record(PING);
    expect(new Set(Object.values(await active(metrics)))).toEqual(new Set([0]));
  });

  test("the gauge agrees with a plain list of what runs", async () => {
    const step = fc.oneof(
      fc.record({ method: fc.constantFrom(...MCP_METHODS), tool: fc.constantFrom("", "a", "b c") }),
      fc.nat({ max: 20 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        using metrics = quiet();
        const running: { readonly key: string; readonly stopwatch: Stopwatch }[] = [];
        const expected: Record<string, number> = {};
        for (const each of steps) {
          if (typeof each === "number") running.splice(each, 1)[0]?.stopwatch.record(PING);
          else {
            const key = `${each.method}|${each.tool}`;
            expected[key] = 0;
            running.push({ key, stopwatch: metrics.operations.start(each) });
          }
        }
        for (const { key } of running) expected[key] = (expected[key] ?? 0) + 1;
        expect(await active(metrics)).toEqual(expected);
      }),
    );
  });
});
