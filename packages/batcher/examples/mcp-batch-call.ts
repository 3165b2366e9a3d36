import assert from "node:assert/strict";
import { batchCall } from "@mcp-accel/batcher/mcp";

/** Stands for the server's own way to call one of its tools. */
async function callTool(name: string, args: unknown) {
  if (name !== "add") throw new Error(`no tool "${name}"`);
  const { a, b } = args as { a: number; b: number };
  return { content: [{ type: "text", text: String(a + b) }] };
}

const tool = batchCall(callTool, { maxCalls: 10 });
const { structuredContent } = await tool.handler({
  calls: [
    { name: "add", arguments: { a: 1, b: 2 } },
    { name: "no_such_tool" },
    { name: "add", arguments: { a: 3, b: 4 } },
  ],
});

const { results } = structuredContent as { results: { ok: boolean }[] };
assert.deepEqual(
  results.map(({ ok }) => ok),
  [true, false, true],
);
console.log(JSON.stringify(structuredContent, null, 2));
