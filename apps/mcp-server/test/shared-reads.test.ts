import { z } from "zod";
import { expect, test } from "vitest";
import { cacheFeature } from "../src/features/cache.ts";
import { ToolRuntime } from "../src/host/tool-runtime.ts";
import { SwarmEvents } from "../src/swarm/events.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import { defineTool, readOnly, type ToolContext } from "../src/tools/tool.ts";
import { testConfig } from "./support/servers.ts";

const contextOf = (signal: AbortSignal): ToolContext => ({
  signal,
  principal: "local",
  transport: "http",
  protocolVersion: undefined,
  wantsProgress: false,
  progress: async () => {},
});

test("a run that two callers share goes on when the first of them gives up", async () => {
  const answer = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  const slow = defineTool({
    name: "slow",
    title: "Slow",
    description: "Answers when the test lets it",
    input: z.object({}),
    output: z.object({ ok: z.boolean() }),
    annotations: readOnly,
    tier: "slow",
    cacheTags: () => ["agents"],
    run: async (_args, { signal }) => {
      signals.push(signal);
      await answer.promise;
      signal.throwIfAborted();
      return { ok: true };
    },
  });
  const store = new SqliteSwarmStore(":memory:");
  const events = new SwarmEvents(() => {});
  const cache = cacheFeature(testConfig(), [slow], { store, events });
  const runtime = new ToolRuntime([slow], {
    observe: async (_call, next) => next(),
    around: cache.around,
    onUnforeseen: () => {},
    maxResultBytes: 1_000,
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [first, second].map(({ signal }) => runtime.call("slow", {}, contextOf(signal)));
  await expect.poll(() => signals.length).toBe(1);
  first.abort();
  expect((await calls[0])?.isError).toBe(true);
  expect(signals[0]?.aborted).toBe(false);
  answer.resolve();
  expect((await calls[1])?.structuredContent).toEqual({ ok: true });
  await cache[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});
