import * as fc from "fast-check";
import { InMemoryEventStore } from "@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { BoundedEventStore } from "@mcp-accel/stream-guard/mcp";
import type { EventStoreOptions } from "@mcp-accel/stream-guard/mcp";
import { FakeTime } from "./fake-time.ts";
import { FILL, KIB } from "./mcp-clients.ts";

const LIMIT = 1024 * KIB;

afterEach(() => {
  vi.useRealTimers();
});

function storeOf(options: EventStoreOptions = {}, maxMemoryBytes = LIMIT) {
  const time = new FakeTime();
  const guard = new StreamGuard({ now: time.now, schedule: time.schedule });
  const session = guard.open({ maxMemoryBytes });
  const store = new BoundedEventStore(session, { now: time.now, ...options });
  return { time, guard, session, store };
}

function note(data: unknown): {
  readonly jsonrpc: "2.0";
  readonly method: string;
  readonly params: object;
} {
  return { jsonrpc: "2.0", method: "notifications/message", params: { data } };
}

async function replayed(store: BoundedEventStore, after: string): Promise<unknown[]> {
  const seen: unknown[] = [];
  await store.replayEventsAfter(after, {
    send: async (_id: string, message: { readonly params: { readonly data: unknown } }) => {
      seen.push(message.params.data);
    },
  });
  return seen;
}

test("4,000 events of 64 KiB keep half the session's limit, and the SDK's example store keeps them all", async () => {
  const { session, store } = storeOf();
  const rival = new InMemoryEventStore();
  for (let count = 0; count < 4000; count += 1) {
    await store.storeEvent("_GET_stream", note(FILL));
    await rival.storeEvent("_GET_stream", note(FILL) as never);
    expect(session.memoryUsageBytes).toBeLessThanOrEqual(LIMIT / 2);
  }
  expect(session.memoryUsageBytes).toBe(store.usedBytes);
  expect(store.usedBytes).toBeGreaterThan(LIMIT / 2 - 2 * 64 * KIB);
  expect(store).toMatchObject({ size: 7, dropped: 3993 });
  expect((rival as unknown as { events: Map<string, unknown> }).events.size).toBe(4000);
});

test("a stream is resumed after any event of which everything since is kept, and after no other", async () => {
  const { store } = storeOf({ maxEvents: 3 });
  const ids: string[] = [];
  for (let count = 1; count <= 5; count += 1) ids.push(await store.storeEvent("s", note(count)));
  const found = await Promise.all(ids.map((id) => store.getStreamIdForEventId(id)));
  expect(found).toEqual([undefined, "s", "s", "s", "s"]);
  expect(await replayed(store, ids[1] ?? "")).toEqual([3, 4, 5]);
  expect(await replayed(store, ids[4] ?? "")).toEqual([]);
  expect(await replayed(store, ids[0] ?? "")).toEqual([]);
});

test("with onGap skip, what is kept is replayed; a stream that is not known is refused even then", async () => {
  const { store } = storeOf({ maxEvents: 2, onGap: "skip" });
  const ids: string[] = [];
  for (let count = 1; count <= 5; count += 1) ids.push(await store.storeEvent("s", note(count)));
  expect(await replayed(store, ids[0] ?? "")).toEqual([4, 5]);
  expect(await store.getStreamIdForEventId("s_6")).toBeUndefined();
  expect(await store.getStreamIdForEventId("other_1")).toBeUndefined();
});

test("events grow old, and a stream without any is resumed from its latest", async () => {
  const { time, session, store } = storeOf({ maxAgeMs: 1000 });
  const first = await store.storeEvent("s", note(1));
  time.advance(600);
  const second = await store.storeEvent("s", note(2));
  time.advance(600);
  expect(await store.getStreamIdForEventId(first)).toBe("s");
  expect(store.size).toBe(1);
  time.advance(600);
  expect(await store.getStreamIdForEventId(first)).toBeUndefined();
  expect(await store.getStreamIdForEventId(second)).toBe("s");
  expect([store.size, store.usedBytes, session.memoryUsageBytes]).toEqual([0, 0, 0]);
});

test("streams that hold nothing are forgotten, the longest empty first", async () => {
  const { store } = storeOf({ maxEvents: 1 });
  const ids: string[] = [];
  for (let count = 0; count < 300; count += 1)
    ids.push(await store.storeEvent(`s${count}`, note(0)));
  const known = await Promise.all(ids.map((id) => store.getStreamIdForEventId(id)));
  expect(known.filter((id) => id !== undefined)).toHaveLength(101);
  expect(known.at(-1)).toBe("s299");
  expect(known[0]).toBeUndefined();
});

test("an event that finds no room is not kept, and nothing before it is replayed as if it were", async () => {
  const { session, store } = storeOf({ maxBytes: 10 * KIB });
  const first = await store.storeEvent("s", note(1));
  const second = await store.storeEvent("s", note(FILL));
  expect(await store.getStreamIdForEventId(first)).toBeUndefined();
  expect(await store.getStreamIdForEventId(second)).toBe("s");
  await store.storeEvent("s", note(3));
  expect(await replayed(store, second)).toEqual([3]);
  session.reserve(LIMIT - session.memoryUsageBytes);
  const last = await store.storeEvent("s", note(4));
  expect(await replayed(store, last)).toEqual([]);
  expect(await store.getStreamIdForEventId(second)).toBeUndefined();
});

test("history gives way, oldest first, when the rest of the session has taken the room", async () => {
  const { session, store } = storeOf();
  const ids: string[] = [];
  for (let count = 1; count <= 3; count += 1)
    ids.push(await store.storeEvent("s", note(`${count}${FILL}`)));
  session.reserve(LIMIT - session.memoryUsageBytes - KIB);
  ids.push(await store.storeEvent("s", note(4)));
  expect(store).toMatchObject({ size: 4, dropped: 0 });
  ids.push(await store.storeEvent("s", note(`5${FILL}`)));
  expect(store).toMatchObject({ size: 4, dropped: 1 });
  expect(session.memoryUsageBytes).toBeLessThanOrEqual(LIMIT);
});

test("a replay reserves what it sends before it sends it, and fails when there is no room", async () => {
  const { session, store } = storeOf();
  const first = await store.storeEvent("s", note(1));
  for (let count = 0; count < 6; count += 1) await store.storeEvent("s", note(FILL));
  const before = session.memoryUsageBytes;
  let during = 0;
  await store.replayEventsAfter(first, {
    send: async () => {
      during = session.memoryUsageBytes;
    },
  });
  expect(during - before).toBeGreaterThan(6 * 64 * KIB);
  const { store: other, session: full } = storeOf();
  const id = await other.storeEvent("s", note(1));
  await other.storeEvent("s", note(FILL));
  full.reserve(LIMIT - full.memoryUsageBytes - KIB);
  const sent: unknown[] = [];
  const replay = other.replayEventsAfter(id, { send: async () => void sent.push(1) });
  await expect(replay).rejects.toMatchObject({ code: "STREAM_GUARD_MEMORY_LIMIT" });
  expect(sent).toEqual([]);
});

test.each(["arrives", "fails"])(
  "a replay that %s counts until its adapter would have written it, and then no more",
  async (outcome) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate"] });
    const { session, store } = storeOf();
    const first = await store.storeEvent("s", note(1));
    await store.storeEvent("s", note(FILL));
    const kept = store.usedBytes;
    const replay = store.replayEventsAfter(first, {
      send: async () => {
        if (outcome === "fails") throw new Error("gone");
      },
    });
    const ended = replay.then(
      () => "arrives",
      () => "fails",
    );
    expect(await ended).toBe(outcome);
    expect(session.memoryUsageBytes - kept).toBeGreaterThan(64 * KIB);
    vi.advanceTimersByTime(10);
    expect(session.memoryUsageBytes - kept).toBeGreaterThan(64 * KIB);
    vi.runAllTimers();
    expect([store.usedBytes, session.memoryUsageBytes]).toEqual([kept, kept]);
  },
);

test("a closed session keeps nothing, and its store does no harm", async () => {
  const { guard, session, store } = storeOf();
  const id = await store.storeEvent("s", note(1));
  await session.close();
  expect([store.size, store.usedBytes, guard.stats().usedBytes]).toEqual([0, 0, 0]);
  expect(await store.getStreamIdForEventId(id)).toBeUndefined();
  const late = await store.storeEvent("s", note(2));
  expect(late).toBe("s_1");
  expect([store.size, guard.stats().usedBytes]).toEqual([0, 0]);
});

test.each([
  "",
  "s",
  "_",
  "s_",
  "s_0",
  "s_-1",
  "s_1e3",
  "s_01",
  "s_99999999999999999",
  "__proto___1",
  "s_2",
  "\n_1",
])("the event id %j is of nobody", async (id) => {
  const { store } = storeOf();
  await store.storeEvent("s", note(1));
  expect(await store.getStreamIdForEventId(id)).toBeUndefined();
  expect(await store.replayEventsAfter(id, { send: async () => {} })).toBe("");
});

test.each([
  ["maxBytes", -1],
  ["maxEvents", 0],
  ["maxAgeMs", 0],
  ["onGap", "guess"],
  ["now", 1],
])("the wrong option %s is named", (argument, value) => {
  expect(() => storeOf({ [argument]: value })).toThrow(expect.objectContaining({ argument }));
});

describe("against a model", () => {
  const command = fc.oneof(
    { weight: 6, arbitrary: fc.record({ stream: fc.nat(3), size: fc.nat(3000) }) },
    { weight: 1, arbitrary: fc.record({ waitMs: fc.nat(400) }) },
  );

  test("bounds hold, and a replay is exactly what came after, or refused because something is missing", async () => {
    const bounds = { maxBytes: 12 * KIB, maxEvents: 8, maxAgeMs: 1000 };
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const { time, session, store } = storeOf(bounds);
        const streams = new Map<string, { readonly id: string; readonly mark: string }[]>();
        let serial = 0;
        for (const step of commands) {
          if ("waitMs" in step) time.advance(step.waitMs);
          else {
            serial += 1;
            const name = `s_${step.stream}`;
            const mark = `${serial}${"x".repeat(step.size)}`;
            const id = await store.storeEvent(name, note(mark));
            streams.set(name, [...(streams.get(name) ?? []), { id, mark }]);
          }
          expect(store.usedBytes).toBeLessThanOrEqual(bounds.maxBytes);
          expect(store.size).toBeLessThanOrEqual(bounds.maxEvents);
          expect(session.memoryUsageBytes).toBe(store.usedBytes);
        }
        for (const events of streams.values()) {
          const resumed = await Promise.all(
            events.map(async ({ id }) => (await store.getStreamIdForEventId(id)) !== undefined),
          );
          const firstKnown = resumed.indexOf(true);
          expect(resumed).toEqual(events.map((_, index) => index >= firstKnown));
          expect(resumed.at(-1)).toBe(true);
          for (const [index, { id }] of events.entries()) {
            const after = events.slice(index + 1).map(({ mark }) => mark);
            expect(await replayed(store, id)).toEqual(index < firstKnown ? [] : after);
          }
        }
        await session.close();
      }),
      { numRuns: 150 },
    );
  });
});

test("one more event costs the oldest of the same history, and never another client's idle session", async () => {
  const time = new FakeTime();
  const { now, schedule } = time;
  const maxMemoryBytes = 100_000;
  const guard = new StreamGuard({
    now,
    schedule,
    maxMemoryBytes,
    sessionMaxMemoryBytes: maxMemoryBytes,
    sweepIntervalMs: 60_000,
  });
  const idle = guard.open();
  const store = new BoundedEventStore(guard.open(), { now, maxBytes: 90_000 });
  idle.reserve(5000);
  const busy = guard.open();
  busy.begin();
  busy.reserve(60_000);
  await store.storeEvent("s", note("x".repeat(12_000)));
  for (const session of guard.sessions()) session.idleForMs();
  time.advance(20_000);
  await store.storeEvent("s", note("x".repeat(24_000)));
  expect(idle.closed).toBe(false);
  expect(store).toMatchObject({ size: 1, dropped: 1 });
});

async function filled() {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    now,
    schedule,
    maxMemoryBytes: 10 * LIMIT,
    sessionMaxMemoryBytes: LIMIT,
    idleTimeoutMs: 10 * 3_600_000,
  });
  const stores: BoundedEventStore[] = [];
  const open = async (): Promise<void> => {
    const store = new BoundedEventStore(guard.open(), { now });
    stores.push(store);
    for (let count = 0; count < 8; count += 1) await store.storeEvent("s", note(FILL));
  };
  return { time, guard, stores, open };
}

describe("histories give way", () => {
  test("at 70 % each drops half, so that histories alone never keep a new client out", async () => {
    const { guard, open } = await filled();
    for (let count = 0; count < 100; count += 1) await open();
    expect(guard.stats().usedBytes).toBeLessThan(8 * LIMIT);
    expect(guard.stats()).toMatchObject({ sessions: 100, rejected: { memory: 0 } });
  });

  test("the sweep drops what is too old, also when nothing more is stored", async () => {
    const { time, guard, stores, open } = await filled();
    await open();
    time.advance(299_000);
    expect(stores[0]?.size).toBe(7);
    time.advance(2000);
    expect(stores[0]?.size).toBe(0);
    expect(guard.stats().usedBytes).toBe(0);
    expect(guard.stats().sessions).toBe(1);
  });

  test("what expires is no sign of life: an idle session is closed in time", async () => {
    const { time, guard, open } = await filled();
    await open();
    const session = guard.sessions()[0];
    time.advance(2000);
    time.advance(400_000);
    expect(session?.idleForMs()).toBe(401_000);
  });

  test("while others fill the guard, each sweep halves them", async () => {
    const { time, guard, stores, open } = await filled();
    await open();
    for (let count = 0; count < 8; count += 1) {
      const other = guard.open();
      other.begin();
      other.reserve(LIMIT);
      if (guard.level === "high") break;
    }
    const { size = 0 } = stores[0] ?? {};
    expect(size).toBe(3);
    time.advance(5000);
    expect(stores[0]?.size).toBe(0);
  });
});

test("a stream that has events again is remembered, however many others are emptied", async () => {
  const { time, store } = storeOf({ maxBytes: 4 * KIB, maxAgeMs: 1000 });
  await store.storeEvent("s", note(1));
  time.advance(2000);
  expect(store.size).toBe(0);
  const id = await store.storeEvent("s", note(2));
  for (let count = 0; count < 150; count += 1) await store.storeEvent(`${count}`, note(FILL));
  expect(await store.getStreamIdForEventId(id)).toBe("s");
});
