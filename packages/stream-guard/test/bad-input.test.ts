import { PassThrough, Readable } from "node:stream";
import type { Writable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { describe, expect, test, vi } from "vitest";
import {
  MemoryMonitor,
  ResourcePool,
  StreamGuard,
  StreamGuardError,
} from "@mcp-accel/stream-guard";
import type { Source, StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

// Whatever is handed in: a typed error, books that are right, and nothing that hangs or is left behind.

const NOT_BYTES = [-1, -0.5, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, "1", 1n, null, {}, []];
const NOT_DURATIONS = [0, -1, Number.NaN, Infinity, 2 ** 31, "1", null];

function world() {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    maxMemoryBytes: 1000,
    sessionMaxMemoryBytes: 600,
    principalMaxMemoryBytes: 800,
    now,
    schedule,
  });
  const session = guard.open({ id: "one", principal: "ann" });
  session.reserve(100);
  const pool = new ResourcePool({ capacity: 2, now, schedule });
  const monitor = new MemoryMonitor({
    limitBytes: 100,
    sample: () => ({ heapUsedBytes: 1, rssBytes: 1 }),
    now,
    schedule,
  });
  return { time, guard, session, pool, monitor };
}

type World = ReturnType<typeof world>;

/** What is as it was before: 100 bytes held, everything usable. */
async function expectIntact({ guard, session, pool, monitor, time }: World): Promise<void> {
  expect(session).toMatchObject({ closed: false, memoryUsageBytes: 100, operations: 0 });
  expect(guard.stats()).toMatchObject({
    usedBytes: 100,
    sessions: 1,
    waiting: 0,
    pausedSources: 0,
  });
  expect(guard.principals()).toEqual([{ principal: "ann", sessions: 1, usedBytes: 100 }]);
  session.reserve(500);
  session.release(600);
  expect(pool.stats()).toMatchObject({ inUse: 0, waiting: 0, permits: 0 });
  (await pool.acquire({ weight: 2 })).release();
  expect(monitor.check()).toBe("normal");
  expect(time.pending).toBe(1);
  await guard.close();
  await pool.close();
  expect([guard.stats().usedBytes, guard.principals().length, time.pending]).toEqual([0, 0, 0]);
}

const anything = (value: unknown): never => value as never;

type Call = readonly [name: string, argument: string, call: (world: World) => unknown];

const calls: readonly Call[] = [
  ...NOT_BYTES.flatMap((value): readonly Call[] => [
    [`reserve(${text(value)})`, "bytes", ({ session }) => session.reserve(anything(value))],
    [`tryReserve(${text(value)})`, "bytes", ({ session }) => session.tryReserve(anything(value))],
    [
      `tryReserveInTurn(${text(value)})`,
      "bytes",
      ({ session }) => session.tryReserveInTurn(anything(value)),
    ],
    [
      `reserveWhenAvailable(${text(value)})`,
      "bytes",
      ({ session }) => session.reserveWhenAvailable(anything(value)),
    ],
    [`release(${text(value)})`, "bytes", ({ session }) => session.release(anything(value))],
    [
      `open({ maxMemoryBytes: ${text(value)} })`,
      "maxMemoryBytes",
      ({ guard }) => guard.open({ maxMemoryBytes: anything(value ?? 0) }),
    ],
    [
      `new StreamGuard({ principalMaxMemoryBytes: ${text(value)} })`,
      "principalMaxMemoryBytes",
      () => new StreamGuard({ principalMaxMemoryBytes: anything(value ?? 0) }),
    ],
    [`pool.resize(${text(value)})`, "capacity", ({ pool }) => pool.resize(anything(value))],
    [`pool.tryAcquire(${text(value)})`, "weight", ({ pool }) => pool.tryAcquire(anything(value))],
    [
      `pool.acquire({ weight: ${text(value)} })`,
      "weight",
      ({ pool }) => pool.acquire({ weight: anything(value) }),
    ],
  ]),
  ...NOT_DURATIONS.flatMap((value): readonly Call[] => [
    [
      `reserveWhenAvailable(1, { timeoutMs: ${text(value)} })`,
      "timeoutMs",
      ({ session }) => session.reserveWhenAvailable(1, { timeoutMs: anything(value ?? 0) }),
    ],
    [
      `writeTo({ drainTimeoutMs: ${text(value)} })`,
      "drainTimeoutMs",
      ({ session }) =>
        session.writeTo(new PassThrough(), Readable.from([]), { drainTimeoutMs: anything(value) }),
    ],
    [
      `new StreamGuard({ maxPauseMs: ${text(value)} })`,
      "maxPauseMs",
      () => new StreamGuard({ maxPauseMs: anything(value ?? 0) }),
    ],
    [
      `pool.acquire({ timeoutMs: ${text(value)} })`,
      "timeoutMs",
      ({ pool }) => pool.acquire({ timeoutMs: anything(value ?? 0) }),
    ],
    [
      `new MemoryMonitor({ intervalMs: ${text(value)} })`,
      "intervalMs",
      () => new MemoryMonitor({ intervalMs: anything(value ?? 0) }),
    ],
  ]),
  ...[null, 1, "x"].flatMap((value): readonly Call[] => [
    [`new StreamGuard(${text(value)})`, "options", () => new StreamGuard(anything(value))],
    [`new ResourcePool(${text(value)})`, "options", () => new ResourcePool(anything(value))],
    [`new MemoryMonitor(${text(value)})`, "options", () => new MemoryMonitor(anything(value))],
    [`open(${text(value)})`, "options", ({ guard }) => guard.open(anything(value))],
    [`pool.acquire(${text(value)})`, "options", ({ pool }) => pool.acquire(anything(value))],
    [
      `reserveWhenAvailable(1, ${text(value)})`,
      "options",
      ({ session }) => session.reserveWhenAvailable(1, anything(value)),
    ],
    [
      `reserveWhenAvailable(1, { signal: ${text(value)} })`,
      "signal",
      ({ session }) => session.reserveWhenAvailable(1, { signal: anything(value) }),
    ],
    [
      `writeTo(${text(value)})`,
      "writable",
      ({ session }) => session.writeTo(anything(value), Readable.from(["a"])),
    ],
    [
      `writeTo(…, ${text(value)})`,
      "source",
      ({ session }) => session.writeTo(new PassThrough(), anything(value)),
    ],
    [
      `writeTo(…, …, ${text(value)})`,
      "options",
      ({ session }) => session.writeTo(new PassThrough(), Readable.from([]), anything(value)),
    ],
    [`pipe(${text(value)})`, "source", ({ session }) => session.pipe(anything(value))],
    [
      `watchReader(${text(value)})`,
      "reader.heldBytes",
      ({ session }) => session.watchReader(anything(value)),
    ],
    [`onClose(${text(value)})`, "listener", ({ session }) => session.onClose(anything(value))],
    [
      `guard.addHook(…, ${text(value)})`,
      "hook",
      ({ guard }) => guard.addHook("high", anything(value)),
    ],
    [
      `guard.addHook(${text(value)})`,
      "level",
      ({ guard }) => guard.addHook(anything(value), () => {}),
    ],
    [`pool.use(${text(value)})`, "task", ({ pool }) => pool.use(anything(value))],
    [
      `new StreamGuard({ monitor: ${text(value)} })`,
      "monitor",
      () => new StreamGuard({ monitor: anything(value) }),
    ],
  ]),
  ["open() of an id that is open", "id", ({ guard }) => guard.open({ id: "one" })],
  [
    "pipe() of a ReadableStream that somebody reads",
    "source",
    ({ session }) => {
      const stream = new ReadableStream<string>();
      stream.getReader();
      return session.pipe(stream);
    },
  ],
  [
    "pipe() of an iterator without next()",
    "source",
    ({ session }) => session.pipe(anything({ [Symbol.asyncIterator]: () => ({}) })),
  ],
  [
    "writeTo() of something with write() alone",
    "writable",
    ({ session }) => session.writeTo(anything({ write: () => true }), Readable.from(["a"])),
  ],
];

test.each(calls)("%s names %s and changes nothing", async (_name, argument, call) => {
  const all = world();
  const error = await failureOf(() => call(all));
  expect(error).toMatchObject({ code: "STREAM_GUARD_INVALID_ARGUMENT", argument });
  await expectIntact(all);
});

describe("too often, too late, too much", () => {
  test.each<[string, string, (world: World) => unknown]>([
    [
      "a release of more than is held",
      "STREAM_GUARD_OVER_RELEASE",
      ({ session }) => session.release(101),
    ],
    [
      "a second release of the same bytes",
      "STREAM_GUARD_OVER_RELEASE",
      ({ session }) => {
        session.reserve(50);
        session.release(50);
        session.release(101);
      },
    ],
    [
      "the most that a number can say",
      "STREAM_GUARD_MEMORY_LIMIT",
      ({ session }) => session.reserve(Number.MAX_SAFE_INTEGER),
    ],
    [
      "a wait for more than can ever be",
      "STREAM_GUARD_MEMORY_LIMIT",
      ({ session }) => session.reserveWhenAvailable(Number.MAX_SAFE_INTEGER),
    ],
    [
      "a producer that ignores a refusal and gives back what it never got",
      "STREAM_GUARD_OVER_RELEASE",
      ({ session }) => {
        expect(session.tryReserve(550)).toBe(false);
        session.release(550);
      },
    ],
  ])("%s", async (_name, code, call) => {
    const all = world();
    expect(await failureOf(() => call(all))).toMatchObject({ code });
    await expectIntact(all);
  });

  test.each<[string, (session: StreamingSession) => unknown]>([
    ["reserve", (session) => session.reserve(1)],
    ["tryReserve", (session) => session.tryReserve(1)],
    ["tryReserveInTurn", (session) => session.tryReserveInTurn(1)],
    ["tryReserveSpare", (session) => session.tryReserveSpare(1)],
    ["reserveWhenAvailable", (session) => session.reserveWhenAvailable(1)],
    ["checkMemoryLimit", (session) => session.checkMemoryLimit()],
    ["begin", (session) => session.begin()],
    ["pipe", (session) => session.pipe(Readable.from(["a"]))],
    ["writeTo", (session) => session.writeTo(new PassThrough(), Readable.from(["a"]))],
    ["watchReader", (session) => session.watchReader({ heldBytes: () => 0, taken: () => 0 })],
  ])("%s after the close says that the session is closed", async (_name, use) => {
    const { guard, session, time } = world();
    await session.close();
    const error = await failureOf(() => use(session));
    expect(error).toMatchObject({ code: "STREAM_GUARD_SESSION_CLOSED", reason: "closed" });
    session.release(100);
    session.touch();
    await session.close("again");
    await guard.close();
    expect([guard.stats().usedBytes, session.operations, time.pending]).toEqual([0, 0, 0]);
  });

  test.each([undefined, null, 5, "", Symbol.iterator, {}])(
    "a session closes for the reason %s",
    async (reason) => {
      const { guard, session } = world();
      await session.close(anything(reason));
      expect([session.closed, typeof session.closeReason]).toEqual([true, "string"]);
      expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
    },
  );

  test("a permit given back many times counts once, also after the pool was closed", async () => {
    const { pool } = world();
    const permit = await pool.acquire();
    const other = await pool.acquire();
    for (let time = 0; time < 5; time += 1) permit.release();
    expect(pool.stats()).toMatchObject({ inUse: 1, permits: 1 });
    await pool.close();
    for (let time = 0; time < 5; time += 1) other.release();
    expect(pool.stats()).toMatchObject({ inUse: 0, permits: 0 });
    expect(await failureOf(() => pool.acquire())).toMatchObject({
      code: "STREAM_GUARD_POOL_CLOSED",
    });
  });

  test("a task that throws at once gives its permit back", async () => {
    const { pool } = world();
    const failing = pool.use(() => {
      throw new Error("at once");
    });
    await expect(failing).rejects.toThrow("at once");
    expect(pool.stats().inUse).toBe(0);
  });
});

/** An iterator as somebody might write it by hand. */
function iterable(parts: { next: () => unknown; return?: () => unknown }): Source {
  return anything({ [Symbol.asyncIterator]: () => parts });
}

const never = (): Promise<never> => new Promise(() => {});
const chunk = (): unknown => Promise.resolve({ done: false, value: "chunk" });
const fail = (message: string) => (): never => {
  throw new Error(message);
};

type BadSource = readonly [name: string, make: () => Source, expected: object];

const invalid = (argument: string) => ({ code: "STREAM_GUARD_INVALID_ARGUMENT", argument });

const badSources: readonly BadSource[] = [
  ["whose next() throws", () => iterable({ next: fail("next") }), { message: "next" }],
  [
    "whose next() rejects",
    () => iterable({ next: async () => fail("next")() }),
    { message: "next" },
  ],
  ["whose next() gives nothing", () => iterable({ next: () => undefined }), invalid("source")],
  ["whose next() gives a number", () => iterable({ next: async () => 5 }), invalid("source")],
  [
    "whose next() is not asynchronous and gives no chunk",
    () => iterable({ next: () => ({ done: false }) }),
    invalid("chunk"),
  ],
  [
    "that gives something with a then() that throws",
    () => iterable({ next: () => new Proxy({}, { get: fail("then") }) }),
    { message: "then" },
  ],
  [
    "that gives a chunk of null",
    () => iterable({ next: async () => ({ value: null }) }),
    invalid("chunk"),
  ],
  [
    "that gives a chunk of 5",
    () => iterable({ next: async () => ({ value: 5 }) }),
    invalid("chunk"),
  ],
  [
    "that gives an array",
    () => iterable({ next: async () => ({ value: [1] }), return: fail("return") }),
    invalid("chunk"),
  ],
  [
    "whose chunks are wrong and whose return() never settles",
    () => iterable({ next: async () => ({ value: {} }), return: never }),
    invalid("chunk"),
  ],
  [
    "whose chunks are wrong and whose return() gives nothing",
    () => iterable({ next: async () => ({ value: {} }), return: () => undefined }),
    invalid("chunk"),
  ],
  [
    "whose chunks are wrong and whose return() rejects",
    () => iterable({ next: async () => ({ value: {} }), return: async () => fail("return")() }),
    invalid("chunk"),
  ],
  [
    "that is a Readable whose destroy() throws",
    () => {
      const source = Readable.from([{}]);
      source.destroy = fail("destroy");
      return source;
    },
    invalid("chunk"),
  ],
  [
    "with a chunk larger than the session may ever hold",
    () => Readable.from([new Uint8Array(5000)]),
    { code: "STREAM_GUARD_MEMORY_LIMIT", scope: "session" },
  ],
];

describe("a source", () => {
  test.each(badSources)(
    "%s fails a pipe and its session, and nothing else",
    async (_name, make, expected) => {
      const { guard, session, time } = world();
      const other = guard.open();
      const batches = session.pipe(make());
      expect(await failureOf(() => batches.next())).toMatchObject(expected);
      expect(await batches.next()).toEqual({ done: true, value: undefined });
      expect([session.closed, session.operations, other.closed]).toEqual([true, 0, false]);
      expect(guard.stats()).toMatchObject({ usedBytes: 0, waiting: 0 });
      expect(time.pending).toBe(1);
    },
  );

  test.each(badSources)(
    "%s fails a writeTo, its destination and its session",
    async (_name, make, expected) => {
      const { guard, session, time } = world();
      const out = new PassThrough().resume();
      expect(await failureOf(() => session.writeTo(out, make()))).toMatchObject(expected);
      expect([session.closed, session.operations, out.destroyed]).toEqual([true, 0, true]);
      expect(guard.stats()).toMatchObject({ usedBytes: 0, waiting: 0 });
      expect(time.pending).toBe(1);
    },
  );

  test.each<[string, (() => unknown) | undefined]>([
    ["throws", fail("return")],
    ["rejects", async () => fail("return")()],
    ["never settles", never],
    ["gives nothing", () => undefined],
    ["is missing", undefined],
  ])("whose return() %s is left all the same", async (_name, end) => {
    const { guard, session } = world();
    const source = iterable({ next: chunk, ...(end === undefined ? {} : { return: end }) });
    for await (const batch of session.pipe(source)) {
      expect(batch).toHaveLength(1);
      break;
    }
    expect(session).toMatchObject({ closed: false, memoryUsageBytes: 100, operations: 0 });
    const reading = session.pipe(
      iterable({ next: never, ...(end === undefined ? {} : { return: end }) }),
    );
    const next = failureOf(() => reading.next());
    await session.close("enough");
    expect(await next).toMatchObject({ code: "STREAM_GUARD_SESSION_CLOSED" });
    expect(guard.stats().usedBytes).toBe(0);
  });

  test("that is not asynchronous is read as well", async () => {
    const { session } = world();
    let left = 2;
    const next = (): unknown => ({ done: left === 0, value: left-- > 0 ? "x" : undefined });
    const read: number[] = [];
    for await (const batch of session.pipe(iterable({ next }))) read.push(batch[0]!.byteLength);
    expect(read).toEqual([1, 1]);
  });
});

describe("a consumer", () => {
  test.each<[string, (session: StreamingSession) => Promise<unknown>]>([
    [
      "that throws in the middle",
      async (session) => {
        for await (const _ of session.pipe(iterable({ next: chunk }))) throw new Error("consumer");
      },
    ],
    [
      "that throws while it holds a reservation of its own",
      async (session) => {
        for await (const _ of session.pipe(iterable({ next: chunk }))) {
          session.reserve(10);
          try {
            throw new Error("consumer");
          } finally {
            session.release(10);
          }
        }
      },
    ],
    [
      "that throws into the iterator",
      async (session) => {
        const batches = session.pipe(iterable({ next: chunk }));
        await batches.next();
        await batches.return();
        await batches.return();
        throw new Error("consumer");
      },
    ],
  ])("%s leaves nothing charged", async (_name, consume) => {
    const { guard, session, time } = world();
    expect(await failureOf(() => consume(session))).toMatchObject({ message: "consumer" });
    expect(session).toMatchObject({ closed: false, memoryUsageBytes: 100, operations: 0 });
    expect(guard.stats().usedBytes).toBe(100);
    expect(time.pending).toBe(1);
  });

  test("that asks for many batches at once gets each one once, and one charge at a time", async () => {
    const { session } = world();
    const batches = session.pipe(Readable.from(["a", "b", "c"]));
    const results = await Promise.all(Array.from({ length: 5 }, () => batches.next()));
    expect(results.map(({ value }) => value && String(value[0]))).toEqual([
      "97",
      "98",
      "99",
      undefined,
      undefined,
    ]);
    expect(session.memoryUsageBytes).toBe(100);
  });
});

describe("a destination", () => {
  test.each<[string, () => Writable]>([
    ["whose write() throws", () => Object.assign(new PassThrough(), { write: fail("write") })],
    [
      "whose write() and destroy() throw",
      () => Object.assign(new PassThrough(), { write: fail("write"), destroy: fail("destroy") }),
    ],
    ["that is destroyed already", () => new PassThrough().destroy()],
  ])("%s ends the stream with a typed error, and the session", async (_name, make) => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { guard, session, time } = world();
    const source = Readable.from(["a", "b", "c"]);
    const error = await failureOf(() => session.writeTo(make(), source));
    warn.mockRestore();
    expect(error).toMatchObject({ code: "STREAM_GUARD_DESTINATION_CLOSED" });
    expect([session.closed, session.closeReason, session.operations]).toEqual([
      true,
      "destination",
      0,
    ]);
    expect([guard.stats().usedBytes, time.pending, source.destroyed]).toEqual([0, 1, true]);
  });

  test("that calls back twice for one chunk frees it once", async () => {
    const { session } = world();
    const out = new PassThrough().resume();
    const write = out.write.bind(out) as (chunk: unknown, callback: () => void) => boolean;
    const twice = (data: unknown, callback: () => void): boolean =>
      write(data, () => {
        callback();
        callback();
      });
    Object.assign(out, { write: twice });
    await session.writeTo(out, Readable.from(["abc", "def"]));
    expect(session.memoryUsageBytes).toBe(100);
  });
});

describe("code of others that is called", () => {
  test("listeners that close, reserve, release and open in the middle leave the books right", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { guard, session, time } = world();
    const mischief = (): void => {
      for (const each of guard.sessions()) {
        each.tryReserve(10);
        each.release(10);
      }
      guard.open({ principal: "bob" }).reserve(50);
      void guard.sessions()[0]?.close();
    };
    for (const event of [
      "open",
      "close",
      "softLimit",
      "limit",
      "evict",
      "reject",
      "level",
    ] as const)
      guard.once(event, mischief);
    for (const bytes of [400, 90, 300, 200, 100]) {
      for (const each of [session, ...guard.sessions()]) await failureOf(() => each.reserve(bytes));
      const sum = guard.sessions().reduce((total, each) => total + each.memoryUsageBytes, 0);
      expect(guard.stats().usedBytes).toBe(sum);
      expect(guard.stats().peakBytes).toBeLessThanOrEqual(1000);
    }
    await guard.close();
    warn.mockRestore();
    expect([guard.stats().usedBytes, guard.principals().length, time.pending]).toEqual([0, 0, 0]);
  });

  test.each<[string, object]>([
    ["throws when asked what it holds", { heldBytes: fail("held"), taken: () => 0 }],
    ["throws when asked what it took", { heldBytes: () => 5, taken: fail("taken") }],
    ["throws when asked why it waits", { heldBytes: () => 5, taken: () => 0, wait: fail("wait") }],
    ["holds NaN bytes", { heldBytes: () => Number.NaN, taken: () => 0 }],
    ["holds less than nothing", { heldBytes: () => -5, taken: () => 0 }],
  ])("a reader that %s ends neither the sweeps nor the others", async (_name, reader) => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { guard, session, time } = world();
    session.watchReader(anything(reader));
    const stalled = guard.open();
    stalled.watchReader({ heldBytes: () => 1, taken: () => 0 });
    const idle = guard.open({ idleTimeoutMs: 5000 });
    session.begin();
    time.advance(60_000);
    warn.mockRestore();
    expect([stalled.closeReason, idle.closeReason, session.closed]).toEqual([
      "stalled",
      "idle",
      false,
    ]);
    expect(time.pending).toBe(1);
  });

  test("an aborted signal, or one that aborts later, leaves nothing behind", async () => {
    const all = world();
    const controller = new AbortController();
    all.session.reserve(500);
    const { signal } = controller;
    const waits = [
      failureOf(() => all.session.reserveWhenAvailable(10, { signal })),
      failureOf(async () =>
        all.pool.acquire({ weight: 2 }).then(() => all.pool.acquire({ signal })),
      ),
    ];
    await settle();
    controller.abort(new StreamGuardError("MINE", "mine"));
    expect(await Promise.all(waits)).toMatchObject([{ code: "MINE" }, { code: "MINE" }]);
    expect(await failureOf(() => all.session.reserveWhenAvailable(10, { signal }))).toMatchObject({
      code: "MINE",
    });
    expect(all.guard.stats()).toMatchObject({ usedBytes: 600, waiting: 0 });
    expect(all.pool.stats()).toMatchObject({ inUse: 2, waiting: 0 });
  });
});

async function failureOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return "nothing failed";
}

function text(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return Array.isArray(value) ? "[]" : String(value);
}
