import { PassThrough, Writable } from "node:stream";
import { StdioServerTransport as StdioV1 } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StdioServerTransport as StdioV2 } from "@modelcontextprotocol/server/stdio";
import { describe, expect, test, vi } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";
import { expectListeners } from "../src/drain-listeners.ts";
import { FakeTime, settle } from "./fake-time.ts";

const EVENTS = ["drain", "close", "error", "finish"] as const;

function stalled(highWaterMark: number) {
  const pending: (() => void)[] = [];
  const writable = new Writable({
    highWaterMark,
    write: (_chunk, _encoding, callback) => void pending.push(callback),
  });
  return { writable, accept: () => pending.shift()?.() };
}

function listeners(writable: Writable): readonly number[] {
  return EVENTS.map((event) => writable.listenerCount(event));
}

describe.each(["v1", "v2"] as const)("many messages that wait on a %s stdio pipe", (version) => {
  test("are no leak of listeners, raise no warning, and leave none behind", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { now, schedule } = new FakeTime();
    const guard = new StreamGuard({ now, schedule });
    const { writable, accept } = stalled(100);
    const limit = writable.getMaxListeners();
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const stdio = new Stdio(new PassThrough(), writable);
    const transport = guardTransport(stdio, guard, { destination: writable });
    await transport.start();
    // The transport's own, for as long as it lives or longer.
    const before = listeners(writable);
    const data = "x".repeat(1000);
    const method = "notifications/message";
    const sends = Array.from({ length: 200 }, () =>
      transport.send({ jsonrpc: "2.0", method, params: { data } }),
    );
    await settle();
    expect(writable.listenerCount("drain")).toBeGreaterThan(100);
    for (let message = 0; message < 200; message += 1) {
      accept();
      await settle();
    }
    await Promise.all(sends);
    expect(guard.stats().usedBytes).toBe(0);
    expect(writable.listenerCount("drain")).toBe(0);
    await transport.close();
    expect(listeners(writable)).toEqual(before);
    expect(writable.getMaxListeners()).toBe(limit);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

test("writing to one writable again and again leaves no listener behind", async () => {
  const { now, schedule } = new FakeTime();
  const guard = new StreamGuard({ now, schedule });
  const out = new PassThrough();
  out.resume();
  const before = listeners(out);
  for (let count = 0; count < 50; count += 1) {
    const chunk = `${count}`;
    await guard.open().writeTo(
      out,
      (async function* () {
        yield chunk;
      })(),
      { end: false },
    );
  }
  expect(listeners(out)).toEqual(before);
});

test("a writable without a limit of listeners keeps none", () => {
  const { writable } = stalled(1);
  writable.setMaxListeners(0);
  expectListeners(writable, 5)();
  expect(writable.getMaxListeners()).toBe(0);
});
