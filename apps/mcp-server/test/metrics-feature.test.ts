import { expect, test } from "vitest";
import { metricsFeature } from "../src/features/metrics.ts";

type Observed = Parameters<ReturnType<typeof metricsFeature>["observe"]>[0];

test("a call that its client cancelled is counted as cancelled, although its result is an error", async () => {
  const metrics = metricsFeature([], []);
  const calling = new AbortController();
  const call = {
    tool: { name: "list_agents" },
    args: {},
    context: { transport: "http", signal: calling.signal },
  } as unknown as Observed;
  await metrics.observe(call, async () => ({ content: [] }));
  await metrics.observe(call, async () => {
    calling.abort();
    return { content: [], isError: true };
  });
  const { body = "" } = (await metrics.exposition("text/plain")) ?? {};
  const counts = body.match(/^mcp_server_operation_duration_seconds_count.*$/gm) ?? [];
  expect(counts).toHaveLength(2);
  expect(counts.filter((line) => line.includes('error_type="cancelled"'))).toHaveLength(1);
  expect(body).not.toContain("tool_error");
  await metrics[Symbol.asyncDispose]();
});
