import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MCP_METHODS, Metrics, OTHER } from "../src/index.ts";
import type { Operation } from "../src/index.ts";
import { countsOf, samplesOf } from "./components.ts";

const NAME = "mcp_server_operation_duration_seconds";
const CALL = {
  method: "tools/call",
  tool: "search",
  transport: "http",
  durationSeconds: 0.02,
} as const;

function quiet(options: ConstructorParameters<typeof Metrics>[0] = {}): Metrics {
  return new Metrics({ runtime: false, ...options });
}

async function tiersOf(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const samples = await samplesOf(metrics, name);
  return Object.fromEntries(samples.map(({ labels, value }) => [labels["tier"] ?? "", value]));
}

describe("operations", () => {
  test("an operation is labelled as the conventions say", async () => {
    using metrics = quiet();
    metrics.operations.record({ ...CALL, errorType: "tool_error", protocolVersion: "2026-07-28" });
    const sum = (await samplesOf(metrics, NAME)).find(({ name }) => name === `${NAME}_sum`);
    expect(sum).toEqual({
      name: `${NAME}_sum`,
      labels: {
        mcp_method_name: "tools/call",
        gen_ai_tool_name: "search",
        error_type: "tool_error",
        network_transport: "tcp",
        mcp_protocol_version: "2026-07-28",
      },
      value: 0.02,
    });
  });

  test("a label without a value is left out", async () => {
    using metrics = quiet();
    metrics.operations.record({ method: "ping", transport: "stdio", durationSeconds: 0 });
    const [sample] = await samplesOf(metrics, NAME);
    expect(sample?.labels).toEqual({
      le: "0.001",
      mcp_method_name: "ping",
      network_transport: "pipe",
    });
  });

  test("the buckets are those of the conventions, finer below", async () => {
    using metrics = quiet();
    metrics.operations.record(CALL);
    const bounds = (await samplesOf(metrics, NAME)).flatMap(({ labels }) => labels["le"] ?? []);
    expect(bounds.join(" ")).toBe(
      "0.001 0.0025 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 30 60 120 300 +Inf",
    );
  });

  test("a duration on a bound is in the bucket of the bound", async () => {
    using metrics = quiet();
    metrics.operations.record({ ...CALL, durationSeconds: 0.02 });
    const samples = await samplesOf(metrics, NAME);
    const first = samples.find(({ name, value }) => name === `${NAME}_bucket` && value === 1);
    expect(first?.labels["le"]).toBe("0.02");
  });

  test("every method of the specification has its name, any other is _OTHER", async () => {
    using metrics = quiet();
    for (const method of [...MCP_METHODS, "tools/hack", "constructor", ""]) {
      metrics.operations.record({ ...CALL, method });
    }
    const counts = await countsOf(metrics, NAME, "mcp_method_name");
    expect(Object.keys(counts).toSorted()).toEqual([...MCP_METHODS, OTHER, ""].toSorted());
    expect(counts[OTHER]).toBe(2);
  });

  test("once tools are known, a made-up name is _OTHER", async () => {
    using metrics = quiet();
    metrics.operations.know(["search"]);
    for (const tool of ["search", "made-up", "search"])
      metrics.operations.record({ ...CALL, tool });
    expect(await countsOf(metrics, NAME, "gen_ai_tool_name")).toEqual({ search: 2, [OTHER]: 1 });
  });

  test("before, the first maxLabelValues names are kept", async () => {
    using metrics = quiet({ maxLabelValues: 2 });
    for (const tool of ["a", "b", "c", "d"]) metrics.operations.record({ ...CALL, tool });
    expect(await countsOf(metrics, NAME, "gen_ai_tool_name")).toEqual({ a: 1, b: 1, [OTHER]: 2 });
  });

  test("a client that invents protocol versions, transports or errors makes few series", async () => {
    using metrics = quiet({ maxLabelValues: 5 });
    for (let index = 0; index < 1000; index += 1) {
      const invented = `x${index}`;
      metrics.operations.record({ ...CALL, protocolVersion: invented });
      metrics.operations.record({ ...CALL, transport: invented });
      metrics.operations.record({ ...CALL, errorType: invented });
    }
    expect(Object.keys(await countsOf(metrics, NAME, "mcp_protocol_version"))).toHaveLength(10);
    expect(Object.keys(await countsOf(metrics, NAME, "network_transport"))).toHaveLength(9);
    expect(Object.keys(await countsOf(metrics, NAME, "error_type"))).toHaveLength(7);
  });

  test.each([NaN, -1, Infinity, undefined as never])(
    "a duration of %s is not recorded",
    async (seconds) => {
      using metrics = quiet();
      metrics.operations.record({ ...CALL, durationSeconds: seconds });
      expect(await samplesOf(metrics, NAME)).toEqual([]);
      expect(metrics.stats().collectErrors).toBe(1);
    },
  );

  test("the exposition agrees with a plain count of what was recorded", async () => {
    const operation = fc.record({
      method: fc.constantFrom("tools/call", "tools/list", "tools/hack"),
      tool: fc.constantFrom("a", "b", "c", "d"),
      transport: fc.constantFrom("stdio", "http"),
      errorType: fc.constantFrom("", "tool_error", "ETIMEDOUT"),
      durationSeconds: fc.double({ min: 0, max: 1000, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        using metrics = quiet({ maxLabelValues: 3 });
        for (const each of operations) metrics.operations.record(each);
        const samples = await samplesOf(metrics, NAME);
        const counted = samples.filter(
          ({ name, labels }) => name.endsWith("_bucket") && labels["le"] === "1",
        );
        const actual = counted.map(({ labels, value }) => [seriesOf(labels), value]);
        expect(Object.fromEntries(actual)).toEqual(naiveCounts(operations));
      }),
    );
  });
});

/** Operations of at most a second by series, folded by hand: three tools, known methods. */
function naiveCounts(operations: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  const tools = new Set<string>();
  for (const { method, tool = "", transport, errorType, durationSeconds } of operations) {
    if (tools.size < 3) tools.add(tool);
    const series = seriesOf({
      mcp_method_name: method === "tools/hack" ? OTHER : method,
      gen_ai_tool_name: tools.has(tool) ? tool : OTHER,
      ...(errorType === "" || errorType === undefined ? {} : { error_type: errorType }),
      network_transport: transport === "http" ? "tcp" : "pipe",
    });
    counts[series] = (counts[series] ?? 0) + (durationSeconds <= 1 ? 1 : 0);
  }
  return counts;
}

function seriesOf(labels: Readonly<Record<string, string | undefined>>): string {
  const entries = Object.entries(labels).filter(([name]) => name !== "le");
  return JSON.stringify(entries.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

describe("operations: the stopwatch", () => {
  test("it records the time of the injected clock", async () => {
    let nowMs = 1_000;
    using metrics = quiet({ now: () => nowMs });
    const stopwatch = metrics.operations.start();
    nowMs += 1_500;
    expect(stopwatch.elapsedSeconds()).toBe(1.5);
    expect(stopwatch.record({ method: "tools/list", transport: "stdio" })).toBe(1.5);
    const sum = (await samplesOf(metrics, NAME)).find(({ name }) => name === `${NAME}_sum`);
    expect(sum?.value).toBe(1.5);
  });

  test("a clock that goes back counts as no time", () => {
    let nowMs = 1_000;
    using metrics = quiet({ now: () => nowMs });
    const stopwatch = metrics.operations.start();
    nowMs = 0;
    expect(stopwatch.record({ method: "ping", transport: "stdio" })).toBe(0);
    expect(metrics.stats().collectErrors).toBe(0);
  });
});

describe("operations: tiers", () => {
  test("calls that take longer than the objective of their tier are misses", async () => {
    using metrics = quiet();
    metrics.operations.setTier("quick", "fast");
    metrics.operations.setTier("report", "slow");
    for (const tool of ["quick", "report", "search"]) {
      metrics.operations.record({ ...CALL, tool, durationSeconds: 0.1 });
      metrics.operations.record({ ...CALL, tool, durationSeconds: 1.2 });
    }
    expect(await tiersOf(metrics, "mcp_server_tool_calls_total")).toEqual({
      fast: 2,
      standard: 2,
      slow: 2,
    });
    expect(await tiersOf(metrics, "mcp_server_tool_objective_misses_total")).toEqual({
      fast: 1,
      standard: 1,
      slow: 0,
    });
  });

  test("only tool calls have an objective", async () => {
    using metrics = quiet();
    metrics.operations.record({ ...CALL, method: "tools/list", durationSeconds: 9 });
    metrics.operations.record({ method: "tools/call", transport: "stdio", durationSeconds: 9 });
    expect(await tiersOf(metrics, "mcp_server_tool_calls_total")).toEqual({
      fast: 0,
      standard: 0,
      slow: 0,
    });
  });

  test("tiers may be changed and added", async () => {
    using metrics = quiet({ tiers: { fast: { objectiveMs: 20 }, batch: { objectiveMs: 60_000 } } });
    metrics.operations.setTier("nightly", "batch");
    expect(metrics.operations.tierOf("nightly")).toBe("batch");
    expect(metrics.operations.tierOf("search")).toBe("standard");
    expect(await tiersOf(metrics, "mcp_server_tool_objective_seconds")).toEqual({
      fast: 0.02,
      standard: 1,
      slow: 30,
      batch: 60,
    });
  });

  test("an unknown tier, a tool without a name and too many tools are refused", () => {
    using metrics = quiet({ maxLabelValues: 1 });
    const { operations } = metrics;
    expect(() => operations.setTier("a", "urgent")).toThrow(
      /one of fast, standard, slow, got "urgent"/,
    );
    expect(() => operations.setTier("", "fast")).toThrow(/non-empty string/);
    operations.setTier("a", "fast");
    operations.setTier("a", "slow");
    expect(() => operations.setTier("b", "fast")).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "tool" }),
    );
  });
});
