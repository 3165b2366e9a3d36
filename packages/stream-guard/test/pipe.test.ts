import { PassThrough, Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { describe, expect, test } from "vitest";
import {
  InvalidArgumentError,
  MemoryLimitError,
  SessionClosedError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { Source, StreamGuardOptions, StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ maxMemoryBytes: 1 << 20, now, schedule, ...options });
  return { guard, time };
}

async function* chunks(...values: (Uint8Array | string)[]) {
  yield* values;
}

async function text(batches: AsyncIterable<Uint8Array[]>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const batch of batches) parts.push(...batch);
  return Buffer.concat(parts).toString();
}

test.each<[string, () => Source]>([
  ["an async iterable", () => chunks("grüße, ", Buffer.from("welt"))],
  ["a Readable", () => Readable.from([Buffer.from("grüße, "), Buffer.from("welt")])],
  [
    "a ReadableStream",
    () => ReadableStream.from<Uint8Array | string>(["grüße, ", Buffer.from("welt")]),
  ],
])("%s comes out as it went in", async (_, source) => {
  const { guard } = guardOf();
  const session = guard.open();
  expect(await text(session.pipe(source()))).toBe("grüße, welt");
  expect(session).toMatchObject({ closed: false, memoryUsageBytes: 0, operations: 0 });
});

describe("charging", () => {
  test("a batch is charged while it is held and released when the next is asked for", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks(new Uint8Array(100), new Uint8Array(30)));
    expect(session.memoryUsageBytes).toBe(0);
    await batches.next();
    expect(session.memoryUsageBytes).toBe(100);
    await batches.next();
    expect(session.memoryUsageBytes).toBe(30);
    expect(await batches.next()).toEqual({ done: true, value: undefined });
    expect(session).toMatchObject({ memoryUsageBytes: 0, peakBytes: 100 });
  });

  test("a view is charged with the whole buffer that it pins", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks(new Uint8Array(5000).subarray(0, 10)));
    await batches.next();
    expect(session.memoryUsageBytes).toBe(5000);
    await batches.return();
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("a string is charged as UTF-8 and its encoding pins no more than that", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks("é".repeat(1000)));
    const { value } = await batches.next();
    expect(session.memoryUsageBytes).toBe(2000);
    expect((value as Uint8Array[])[0]?.buffer.byteLength).toBe(2000);
    await batches.return();
  });

  test("a buffer that is transferred away while held is still released in full", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const chunk = new Uint8Array(100);
    const batches = session.pipe(chunks(chunk));
    await batches.next();
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    await batches.next();
    expect(session.memoryUsageBytes).toBe(0);
  });
});

describe("the iterator", () => {
  test("asking several times at once gets the chunks in order", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks("a", "b"));
    const results = await Promise.all([
      batches.next(),
      batches.next(),
      batches.next(),
      batches.next(),
    ]);
    expect(
      results.map(({ value }) => value?.map((chunk) => Buffer.from(chunk).toString())),
    ).toEqual([["a"], ["b"], undefined, undefined]);
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0 });
  });

  test("asking after a failure finds the end", async () => {
    const { guard } = guardOf();
    const batches = guard.open().pipe(Readable.from([{ an: "object" }]));
    const results = await Promise.allSettled([batches.next(), batches.next()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("returning ends a read under way", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = new Readable({ read() {} });
    const batches = session.pipe(source);
    const next = batches.next();
    await batches.return();
    expect(await next).toEqual({ done: true, value: undefined });
    expect([source.destroyed, session.operations, session.closed]).toEqual([true, 0, false]);
  });

  test("returning while a chunk waits for room leaves nothing charged", async () => {
    const { guard } = guardOf();
    const session = guard.open({ maxMemoryBytes: 100 });
    session.reserve(90);
    const batches = session.pipe(chunks(new Uint8Array(50)));
    const next = batches.next();
    await settle();
    await batches.return();
    session.release(90);
    expect(await next).toMatchObject({ done: true });
    await settle();
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("it ends with its block", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = new Readable({ read() {} });
    {
      await using batches = session.pipe(source);
      expect(batches[Symbol.asyncIterator]()).toBe(batches);
    }
    expect(source.destroyed).toBe(true);
  });
});

describe("ending", () => {
  test("a consumer that stops early destroys the source and keeps the session", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = Readable.from([Buffer.alloc(10), Buffer.alloc(10)]);
    for await (const batch of session.pipe(source)) {
      expect(batch).toHaveLength(1);
      break;
    }
    expect(source.destroyed).toBe(true);
    expect(session).toMatchObject({ closed: false, memoryUsageBytes: 0 });
  });

  test("a source that fails closes the session and passes its error on", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = (async function* () {
      yield "a";
      throw new Error("upstream broke");
    })();
    await expect(text(session.pipe(source))).rejects.toThrow("upstream broke");
    expect(session.closeReason).toBe("source");
  });

  test("a Readable that is destroyed half way closes the session", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = new Readable({ read() {} });
    source.push("a");
    const batches = session.pipe(source);
    await batches.next();
    source.destroy();
    await expect(batches.next()).rejects.toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
    expect(session.closeReason).toBe("source");
  });

  test("a chunk beyond the session's limit fails that session alone", async () => {
    const { guard } = guardOf();
    const session = guard.open({ maxMemoryBytes: 50 });
    const other = guard.open();
    const source = Readable.from([Buffer.alloc(10), new Uint8Array(51)]);
    await expect(text(session.pipe(source))).rejects.toThrow(MemoryLimitError);
    expect(session.closeReason).toBe("limit");
    expect(source.destroyed).toBe(true);
    expect(other.closed).toBe(false);
    expect(guard.stats().usedBytes).toBe(0);
  });

  test("a chunk that finds no room waits for it", async () => {
    const { guard } = guardOf();
    const session = guard.open({ maxMemoryBytes: 100 });
    session.reserve(90);
    const next = session.pipe(chunks(new Uint8Array(50))).next();
    await settle();
    expect(session.memoryUsageBytes).toBe(90);
    session.release(90);
    expect((await next).done).toBe(false);
  });

  test("a chunk waits no longer than reserveTimeoutMs", async () => {
    const { guard, time } = guardOf({ reserveTimeoutMs: 500 });
    const session = guard.open({ maxMemoryBytes: 100 });
    session.reserve(90);
    const next = session.pipe(chunks(new Uint8Array(50))).next();
    await settle();
    time.advance(500);
    await expect(next).rejects.toThrow(MemoryLimitError);
    expect(session.closeReason).toBe("limit");
  });

  test.each<[string, () => { source: Source; ended: () => boolean }]>([
    [
      "an iterator that never yields",
      () => {
        let returned = false;
        const source: AsyncIterable<string> = {
          [Symbol.asyncIterator]: () => ({
            next: () => new Promise(() => {}),
            return: async () => {
              returned = true;
              return { done: true, value: undefined };
            },
          }),
        };
        return { source, ended: () => returned };
      },
    ],
    [
      "a Readable that never pushes",
      () => {
        const source = new Readable({ read() {} });
        return { source, ended: () => source.destroyed };
      },
    ],
    [
      "a ReadableStream that never enqueues",
      () => {
        let cancelled = false;
        const source = new ReadableStream<Uint8Array>({
          cancel: () => {
            cancelled = true;
          },
        });
        return { source, ended: () => cancelled };
      },
    ],
  ])("closing the session ends a read from %s at once", async (_, make) => {
    const { guard } = guardOf();
    const session = guard.open();
    const { source, ended } = make();
    const next = session.pipe(source).next();
    await settle();
    await session.close("enough");
    await expect(next).rejects.toThrow(SessionClosedError);
    expect(ended()).toBe(true);
    expect(session.operations).toBe(0);
  });

  test("closing the session destroys a source that nobody has read from yet", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = new Readable({ read() {} });
    session.pipe(source);
    await session.close();
    expect(source.destroyed).toBe(true);
  });

  test("after the session was evicted under a held batch the next one is refused", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks("a", "b"));
    await batches.next();
    await session.close("evicted");
    await expect(batches.next()).rejects.toThrow(SessionClosedError);
    expect(guard.stats().usedBytes).toBe(0);
  });

  test("a thousand streams leave no listener on the session", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    let [added, listeners] = [0, 0];
    const onClose = session.onClose.bind(session);
    session.onClose = (listener) => {
      const remove = onClose(listener);
      added += 1;
      listeners += 1;
      return () => {
        listeners -= 1;
        remove();
      };
    };
    for (let count = 0; count < 1000; count += 1) await text(session.pipe(chunks("a")));
    expect([added, listeners]).toEqual([1000, 0]);
  });
});

describe("cleanup", () => {
  test("waiting for a slow source is an operation under way", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const gate = Promise.withResolvers<string>();
    const source = (async function* () {
      yield await gate.promise;
    })();
    const next = session.pipe(source).next();
    time.advance(3_600_000);
    gate.resolve("late");
    expect((await next).value).toEqual([new TextEncoder().encode("late")]);
    expect(session.closed).toBe(false);
  });

  test("a consumer that never comes back loses its session", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks("a", "b"));
    await batches.next();
    time.advance(32_000);
    expect(session.closeReason).toBe("stalled");
    await expect(batches.next()).rejects.toMatchObject({ code: "STREAM_GUARD_READER_STALLED" });
  });

  test("a consumer that says it is at work keeps its session, however long that takes", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const batches = session.pipe(chunks("a", "b"));
    await batches.next();
    const work = session.begin();
    time.advance(3_600_000);
    work[Symbol.dispose]();
    time.advance(20_000);
    expect((await batches.next()).value).toEqual([new TextEncoder().encode("b")]);
  });

  test("a consumer with more patience than the idle timeout loses its session to that", async () => {
    const { guard, time } = guardOf({ stallTimeoutMs: 3_600_000 });
    const session = guard.open();
    await session.pipe(chunks("a", "b")).next();
    time.advance(302_000);
    expect(session.closeReason).toBe("idle");
  });
});

describe("bad input", () => {
  test.each([[undefined], [null], [42], [["an array"]], ["text"]])("%o is no source", (source) => {
    const { guard } = guardOf();
    expect(() => guard.open().pipe(source as unknown as Source)).toThrow(InvalidArgumentError);
  });

  test("a chunk that is neither bytes nor text fails the stream", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = Readable.from([{ an: "object" }]);
    await expect(text(session.pipe(source))).rejects.toMatchObject({ argument: "chunk" });
    expect(session.closeReason).toBe("source");
  });

  test("a closed session pipes nothing", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    await session.close();
    expect(() => session.pipe(chunks("a"))).toThrow(SessionClosedError);
  });
});

test.each(["pipe", "readable", "readableStream"] as const)(
  "a source that fails before anybody reads it from %s is no uncaught error, and the first who reads hears of it",
  async (kind) => {
    const { guard } = guardOf();
    const session = guard.open();
    const source = new Readable({ read: () => {} });
    const output: AsyncIterable<unknown> = session[kind](source);
    source.destroy(new Error("no such file"));
    await settle();
    await settle();
    await expect(
      (async () => {
        for await (const _ of output);
      })(),
    ).rejects.toThrow("no such file");
    expect(session).toMatchObject({ closed: true, closeReason: "source", operations: 0 });
  },
);

test.each(["done", "value"])(
  "a source whose results throw when their %s is looked at fails with that",
  async (name) => {
    const { guard } = guardOf();
    const session = guard.open();
    const result = Object.defineProperty({ done: false, value: "x" }, name, {
      get: () => {
        throw new Error("looked at");
      },
    });
    const next = async (): Promise<IteratorResult<string, undefined>> => result as never;
    const source = { [Symbol.asyncIterator]: () => ({ next }) };
    await expect(session.pipe(source).next()).rejects.toThrow("looked at");
    expect(session).toMatchObject({ closeReason: "source", operations: 0 });
  },
);

function crowded() {
  const { guard } = guardOf();
  const holder = guard.open();
  holder.begin();
  holder.reserve(700_000);
  return { guard, session: guard.open(), other: guard.open() };
}

describe("who gives up while its chunk waits for room leaves no wait behind", () => {
  test.each<[string, (session: StreamingSession, source: Source) => () => unknown]>([
    [
      "pipe",
      (session, source) => {
        const batches = session.pipe(source);
        batches.next().catch(() => {});
        return () => batches.return();
      },
    ],
    [
      "readableStream",
      (session, source) => {
        const reader = session.readableStream(source).getReader();
        reader.read().catch(() => {});
        return () => reader.cancel();
      },
    ],
    [
      "writeTo",
      (session, source) => {
        const out = new PassThrough();
        session.writeTo(out, source).catch(() => {});
        return () => out.destroy();
      },
    ],
  ])("%s", async (_, start) => {
    const { guard, session, other } = crowded();
    const giveUp = start(session, chunks(new Uint8Array(500_000)));
    while (guard.stats().waiting === 0) await settle();
    await giveUp();
    await settle();
    expect(guard.stats().waiting).toBe(0);
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0 });
    expect(other.tryReserveInTurn(1024)).toBe(true);
  });
});
