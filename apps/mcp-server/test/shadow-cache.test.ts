import type { ToolCache } from "@mcp-accel/cache-events/mcp";
import { expect, test } from "vitest";
import { ShadowCache } from "../src/features/shadow-cache.ts";
import type { ToolResult } from "../src/host/tool-runtime.ts";
import { SwarmEvents } from "../src/swarm/events.ts";
import type { Tool } from "../src/tools/tool.ts";
import { callContext } from "./support/call-context.ts";

const result = (text: string): ToolResult => ({ content: [{ type: "text", text }] });
const tool = { name: "read", cacheTags: () => ["t"] } as unknown as Tool;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A cache that always has "old", in front of a tool that answers "new". */
function setUp() {
  const events = new SwarmEvents(() => {});
  const named: string[] = [];
  let version = 1;
  const cache = { call: async () => result("old") } as unknown as ToolCache;
  const shadow = new ShadowCache(cache, {
    store: { version: () => version },
    events,
    onMismatch: (name) => named.push(name),
  });
  const read = (next: () => Promise<ToolResult>): Promise<ToolResult> =>
    shadow.around({ tool, args: {}, context: callContext }, next);
  return { events, named, shadow, read, commit: () => void (version += 1) };
}

test("a difference without a write is a mismatch", async () => {
  const { named, shadow, read } = setUp();
  expect(await read(async () => result("new"))).toEqual(result("new"));
  await turn();
  await turn();
  expect(shadow.stats()).toEqual({ compared: 1, mismatches: 1, inconclusive: 0 });
  expect(named).toEqual(["read"]);
});

test("a difference that a write of another process may explain is none", async () => {
  const { named, shadow, read, commit } = setUp();
  await read(async () => {
    commit();
    return result("new");
  });
  await turn();
  await turn();
  expect(shadow.stats()).toEqual({ compared: 1, mismatches: 0, inconclusive: 1 });
  expect(named).toEqual([]);
});

test("a difference that a write of this process may explain is none, though its event comes late", async () => {
  const { events, shadow, read } = setUp();
  await read(async () => result("new"));
  await events.publish({ type: "swarmCreated", swarmId: "s" });
  await turn();
  await turn();
  expect(shadow.stats()).toEqual({ compared: 1, mismatches: 0, inconclusive: 1 });
});

test("a tool that is never cached is not compared, and a cache that fails is no matter", async () => {
  const { shadow, read } = setUp();
  const write = { name: "write" } as unknown as Tool;
  await shadow.around({ tool: write, args: {}, context: callContext }, async () => result("new"));
  await expect(read(async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await turn();
  expect(shadow.stats()).toEqual({ compared: 0, mismatches: 0, inconclusive: 0 });
});
