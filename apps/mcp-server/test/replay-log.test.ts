import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ReplayLog, SessionReplayLog } from "../src/v2025/replay-log.ts";

const message = (text: string): JSONRPCMessage => ({ jsonrpc: "2.0", method: text });

async function replay(session: SessionReplayLog, after: string): Promise<unknown[]> {
  const replayed: unknown[] = [];
  await session.replayEventsAfter(after, { send: async (_id, event) => void replayed.push(event) });
  return replayed;
}

test("a stream is replayed from the event after the last one its client had, and no other stream is", async () => {
  const session = new SessionReplayLog(new ReplayLog(100_000));
  const first = await session.storeEvent("a", message("1"));
  await session.storeEvent("b", message("other stream"));
  await session.storeEvent("a", message("2"));
  await session.storeEvent("a", message("3"));
  expect(await replay(session, first)).toEqual([message("2"), message("3")]);
  expect(await session.getStreamIdForEventId(first)).toBe("a");
});

test("a session reads nothing of another one", async () => {
  const log = new ReplayLog(100_000);
  const [mine, theirs] = [new SessionReplayLog(log), new SessionReplayLog(log)];
  const id = await theirs.storeEvent("a", message("secret"));
  expect(await mine.getStreamIdForEventId(id)).toBeUndefined();
  await expect(replay(mine, id)).rejects.toThrow("no longer in the log");
});

test("the oldest events of whichever session go first, and an event larger than the log evicts nothing", async () => {
  const log = new ReplayLog(1_000);
  const [one, two] = [new SessionReplayLog(log), new SessionReplayLog(log)];
  const ids = [await one.storeEvent("a", message("x")), await two.storeEvent("a", message("x"))];
  await one.storeEvent("a", message("y".repeat(2_000)));
  expect(await one.getStreamIdForEventId(ids[0]!)).toBe("a");
  for (let index = 0; index < 3; index += 1) await two.storeEvent("a", message("x"));
  expect(await one.getStreamIdForEventId(ids[0]!)).toBeUndefined();
  expect(await two.getStreamIdForEventId(ids[1]!)).toBeUndefined();
});

test("whatever happens, the log stays within its bytes and ends at none", async () => {
  const step = fc.record({ session: fc.nat(3), length: fc.nat(400), end: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      const log = new ReplayLog(2_000);
      const sessions = Array.from({ length: 4 }, () => new SessionReplayLog(log));
      for (const { session, length, end } of steps) {
        if (end) sessions[session]!.clear();
        else await sessions[session]!.storeEvent("a", message("x".repeat(length)));
        expect(log.bytes).toBeLessThanOrEqual(2_000);
      }
      for (const session of sessions) session.clear();
      expect(log.bytes).toBe(0);
    }),
  );
});
