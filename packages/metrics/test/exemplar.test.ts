import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import { measureTools } from "../src/mcp.ts";
import { OPENMETRICS } from "./components.ts";
import { parseExposition } from "./parse-exposition.ts";

const NAME = "mcp_server_operation_duration_seconds";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const CALL = { method: "tools/call", tool: "search", transport: "http" } as const;

function traceparent(last: string): string {
  return `00-${TRACE.slice(0, -1)}${last}-${SPAN}-01`;
}

function labels(last: string): Record<string, string> {
  return { trace_id: `${TRACE.slice(0, -1)}${last}`, span_id: SPAN };
}

async function exemplarsOf(metrics: Metrics) {
  const { body } = await metrics.exposition(OPENMETRICS);
  const samples = parseExposition(body, "openmetrics").get(NAME)?.samples ?? [];
  return samples.flatMap(({ labels: own, exemplar }) =>
    exemplar === undefined ? [] : [{ le: own["le"], ...exemplar }],
  );
}

describe("exemplars", () => {
  test("of a bucket are its last sampled trace, in OpenMetrics alone", async () => {
    using metrics = new Metrics({ runtime: false });
    metrics.operations.record({ ...CALL, durationSeconds: 0.03, traceparent: traceparent("1") });
    metrics.operations.record({ ...CALL, durationSeconds: 0.04, traceparent: traceparent("2") });
    metrics.operations.record({ ...CALL, durationSeconds: 0.05 });
    metrics.operations.record({ ...CALL, durationSeconds: 999, traceparent: traceparent("3") });
    expect(await exemplarsOf(metrics)).toEqual([
      { le: "0.05", labels: labels("2"), value: 0.04 },
      { le: "+Inf", labels: labels("3"), value: 999 },
    ]);
    expect((await metrics.exposition()).body).not.toContain("trace_id");
  });

  test.each([
    ["is not sampled", `00-${TRACE}-${SPAN}-00`],
    ["has no trace", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["has no parent", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["is of no version", `ff-${TRACE}-${SPAN}-01`],
    ["has upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["injects", `00-${TRACE}-${SPAN}-01"} 1\nevil 1`],
    ["is long", "0".repeat(1e5)],
    ["is a number", 5 as never],
  ])("are not taken from a traceparent that %s", async (_, wrong) => {
    using metrics = new Metrics({ runtime: false });
    metrics.operations.record({ ...CALL, durationSeconds: 0.03, traceparent: wrong });
    expect(await exemplarsOf(metrics)).toEqual([]);
  });

  test("come from the request's _meta", async () => {
    using metrics = new Metrics({ runtime: false });
    const server = new McpServer({ name: "traced", version: "1.0.0" });
    measureTools(server, metrics);
    server.registerTool("ping", {}, () => ({ content: [] }));
    const client = new Client({ name: "client", version: "1.0.0" });
    const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(serverSide), client.connect(clientSide)]);
    await client.callTool({ name: "ping", _meta: { traceparent: traceparent("c") } });
    await client.callTool({ name: "ping" });
    const found = await exemplarsOf(metrics);
    expect(found.map((exemplar) => exemplar.labels)).toEqual([labels("c")]);
    await client.close();
    await server.close();
  });
});
