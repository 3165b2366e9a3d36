import { describe, expect, test } from "vitest";
import { mostWaiting } from "../src/mcp-call-slots.ts";
import { abandonedAfter } from "../src/mcp-tool-call.ts";
import { batchCall } from "../src/mcp.ts";
import type { BatchCallOptions, BatchCallTool, CallOutcome, ToolResult } from "../src/mcp.ts";
import { range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const calls = (count: number, name = "tool") => ({ calls: range(count).map(() => ({ name })) });
const fine: ToolResult = { content: [] };
const silent = () => new Promise<boolean>(() => undefined);
const text = (length: number): ToolResult => ({
  content: [{ type: "text", text: "x".repeat(length) }],
});

async function outcomes(tool: BatchCallTool, args: unknown): Promise<CallOutcome[]> {
  return (await tool.handler(args)).structuredContent?.["results"] as CallOutcome[];
}

const codes = (results: readonly CallOutcome[]) =>
  results.map((outcome) => ("error" in outcome ? outcome.error.code : outcome.ok));

/** A tool whose calls last, whatever their signal says; and how many were under way at once. */
function lasting(options: BatchCallOptions, durationMs: number) {
  const time = new VirtualTime();
  const seen = { running: 0, peak: 0, begun: 0 };
  const tool = batchCall(
    async () => {
      seen.begun += 1;
      seen.peak = Math.max(seen.peak, ++seen.running);
      await time.delay(durationMs);
      seen.running -= 1;
      return fine;
    },
    { timers: time, ...options },
  );
  return { seen, time, tool };
}

describe("the concurrency of batch_call", () => {
  test("bounds the calls of all requests together", async () => {
    const { seen, time, tool } = lasting({ concurrency: 2 }, 10);
    const requests = Promise.all(range(10).map(() => outcomes(tool, calls(5))));
    await time.advance(1_000);
    expect((await requests).flatMap(codes)).toEqual(range(50).map(() => true));
    expect(seen.peak).toBe(2);
    expect(time.armed).toBe(0);
  });

  test("counts calls that have timed out until they end", async () => {
    const { seen, time, tool } = lasting({ concurrency: 2, callTimeoutMs: 20 }, 100);
    const results = outcomes(tool, calls(20));
    await time.advance(1_000);
    expect(new Set(codes(await results))).toEqual(new Set(["BATCHER_CALL_TIMEOUT"]));
    expect(seen.peak).toBe(2);
  });

  test("is not lost to calls that never end", async () => {
    const { seen, time, tool } = lasting({ concurrency: 1, callTimeoutMs: 10 }, Infinity);
    const first = outcomes(tool, calls(1));
    await time.advance(10);
    expect(codes(await first)).toEqual(["BATCHER_CALL_TIMEOUT"]);
    const second = outcomes(tool, calls(1));
    await time.advance(10);
    expect((await second)[0]).toMatchObject({
      error: { message: expect.stringMatching(/no slot was free/) },
    });
    expect(seen.begun).toBe(1);
    await time.advance(10 * abandonedAfter);
    const third = outcomes(tool, calls(1));
    await time.advance(10);
    await third;
    expect(seen.begun).toBe(2);
  });

  test("has a line of bounded length, and who is cancelled leaves it", async () => {
    const { time, tool } = lasting({ concurrency: 1, maxCalls: 1 }, 10);
    const abort = new AbortController();
    const waiting = range(mostWaiting + 1).map(() =>
      tool.handler(calls(1), { signal: abort.signal }),
    );
    await turn();
    expect(codes(await outcomes(tool, calls(1)))).toEqual(["BATCHER_CALL_OVERLOAD"]);
    abort.abort();
    await Promise.all(waiting);
    const next = outcomes(tool, calls(1));
    await time.advance(100);
    expect(codes(await next)).toEqual([true]);
    expect(time.armed).toBe(0);
  });
});

describe("what batch_call may call", () => {
  test.each<[string, (name: string) => unknown]>([
    ["a promise of false", async () => false],
    ["a promise that rejects", () => Promise.reject(new Error("no"))],
    ["something truthy", () => "yes"],
    ["a promise of something truthy", async () => 1],
  ])("%s is not a yes", async (_, allow) => {
    const called: string[] = [];
    const tool = batchCall(
      async (name) => {
        called.push(name);
        return fine;
      },
      { allow: allow as () => boolean },
    );
    expect(codes(await outcomes(tool, calls(2)))).toEqual(
      range(2).map(() => "BATCHER_CALL_REFUSED"),
    );
    expect(called).toEqual([]);
  });

  test("a promise of true is", async () => {
    const tool = batchCall(async () => fine, { allow: async (name) => name === "tool" });
    expect(codes(await outcomes(tool, calls(1)))).toEqual([true]);
  });

  test("an answer that never comes ends with the time-out, and nothing is called", async () => {
    const time = new VirtualTime();
    const tool = batchCall(async () => fine, { allow: silent, callTimeoutMs: 10, timers: time });
    const results = outcomes(tool, calls(1));
    await time.advance(10);
    expect(codes(await results)).toEqual(["BATCHER_CALL_TIMEOUT"]);
  });

  test("a yes that comes after the time-out calls nothing", async () => {
    const time = new VirtualTime();
    const yes = Promise.withResolvers<boolean>();
    let called = 0;
    const callTool = async () => {
      called += 1;
      return fine;
    };
    const tool = batchCall(callTool, {
      allow: () => yes.promise,
      callTimeoutMs: 10,
      timers: time,
    });
    const results = outcomes(tool, calls(1));
    await time.advance(10);
    await results;
    yes.resolve(true);
    await turn();
    expect(called).toBe(0);
    expect(time.armed).toBe(0);
  });

  test("a call of itself is refused under any name, and later requests are not", async () => {
    let leaves = 0;
    const bulk: BatchCallTool = batchCall(async (name, args) => {
      if (name === "bulk") return bulk.handler(args);
      leaves += 1;
      return fine;
    });
    const inner = { name: "bulk", arguments: calls(5) };
    const [outcome] = await outcomes(bulk, { calls: [inner] });
    expect(outcome).toMatchObject({
      ok: false,
      result: { isError: true, content: [{ text: expect.stringMatching(/^BATCHER_NESTED_CALL/) }] },
    });
    expect(leaves).toBe(0);
    expect(codes(await outcomes(bulk, calls(2)))).toEqual([true, true]);
  });
});

describe("what batch_call answers", () => {
  test("is bounded: results that do not fit are errors, the others come", async () => {
    const tool = batchCall(async (name) => text(name === "large" ? 5_000 : 10), {
      maxResultBytes: 6_000,
    });
    const names = ["small", "large", "large", "small"];
    const response = await tool.handler({ calls: names.map((name) => ({ name })) });
    expect(codes(response.structuredContent?.["results"] as CallOutcome[])).toEqual([
      true,
      true,
      "BATCHER_CALL_TOO_LARGE",
      true,
    ]);
    expect(JSON.stringify(response).length).toBeLessThan(2 * 6_000 + 2_000);
  });

  test("names what was thrown, however odd, in bounded words", async () => {
    const revocable = Proxy.revocable({}, {});
    revocable.revoke();
    for (const thrown of [
      Object.create(null),
      revocable.proxy,
      Symbol("odd"),
      undefined,
      new Error("x".repeat(100_000)),
    ]) {
      const tool = batchCall(() => Promise.reject(thrown as Error));
      const [outcome] = await outcomes(tool, calls(1));
      expect(outcome).toMatchObject({ error: { code: "BATCHER_CALL_FAILED" } });
      expect(JSON.stringify(outcome).length).toBeLessThan(1_200);
    }
  });

  test("an array is no tool result", async () => {
    const tool = batchCall(async () => [] as never);
    expect(codes(await outcomes(tool, calls(1)))).toEqual(["BATCHER_CALL_FAILED"]);
  });
});
