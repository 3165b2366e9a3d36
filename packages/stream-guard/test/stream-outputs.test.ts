import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { ReadableStream, WritableStream } from "node:stream/web";
import { describe, expect, test } from "vitest";
import {
  DestinationClosedError,
  DrainTimeoutError,
  InvalidArgumentError,
  MemoryLimitError,
  ReaderStalledError,
  SessionClosedError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ maxMemoryBytes: 1 << 20, now, schedule, ...options });
  return { guard, time, session: guard.open() };
}

async function* chunks(...values: (Uint8Array | string)[]) {
  yield* values;
}

describe("a Node stream out of a session", () => {
  test("goes through pipeline like any other", async () => {
    const { session } = guardOf();
    const out = new PassThrough();
    const [received] = await Promise.all([
      text(out),
      pipeline(session.readable(chunks("grün, ", "gelb")), out),
    ]);
    expect(received).toBe("grün, gelb");
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0, closed: false });
  });

  test("keeps a chunk charged until the next is asked for", async () => {
    const { session } = guardOf();
    const readable = session.readable(chunks(new Uint8Array(100), new Uint8Array(30)));
    const iterator = readable[Symbol.asyncIterator]();
    expect(session.memoryUsageBytes).toBe(0);
    await iterator.next();
    expect(session.memoryUsageBytes).toBe(100);
    await iterator.next();
    expect(session.memoryUsageBytes).toBe(30);
    await iterator.return?.();
    expect(session).toMatchObject({ memoryUsageBytes: 0, peakBytes: 100 });
  });

  test("charges everything that it buffers for a reader that asks for more than a chunk", async () => {
    const { session } = guardOf();
    const readable = session.readable(
      chunks(...Array.from({ length: 5 }, () => new Uint8Array(100))),
    );
    expect(readable.read(250)).toBeNull();
    for (let turn = 0; turn < 5; turn += 1) await settle();
    expect(session.memoryUsageBytes).toBeGreaterThanOrEqual(readable.readableLength);
    expect(session.memoryUsageBytes).toBeGreaterThanOrEqual(300);
    expect((readable.read(250) as Uint8Array).byteLength).toBe(250);
    for (let turn = 0; turn < 5; turn += 1) await settle();
    expect(session.memoryUsageBytes).toBeGreaterThanOrEqual(readable.readableLength);
    readable.resume();
    await new Promise((resolve) => readable.once("end", resolve));
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("passes over empty chunks, and a reader is still told of the end", async () => {
    const { session } = guardOf();
    const source = chunks("", "a", new Uint8Array(0), new Uint8Array(0), "b", "");
    expect(await text(session.readable(source))).toBe("ab");
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("a chunk beyond the limit is its error", async () => {
    const { guard } = guardOf();
    const session = guard.open({ maxMemoryBytes: 50 });
    await expect(text(session.readable(chunks(new Uint8Array(51))))).rejects.toThrow(
      MemoryLimitError,
    );
    expect(session.closeReason).toBe("limit");
  });

  test("a reader that forgets it loses the session, and is told why", async () => {
    const { session, time } = guardOf();
    const readable = session.readable(chunks("a", "b"));
    const failed = new Promise((resolve) => readable.once("error", resolve));
    await new Promise((resolve) => readable.once("readable", resolve));
    readable.read();
    time.advance(32_000);
    expect(await failed).toBeInstanceOf(ReaderStalledError);
    expect(session).toMatchObject({ closeReason: "stalled", memoryUsageBytes: 0 });
  });
});

describe("a web stream out of a session", () => {
  test.each([undefined, "bytes"] as const)("of type %s is a body", async (type) => {
    const { session } = guardOf();
    const stream = session.readableStream(chunks("grün, ", "", "gelb", ""), { type });
    expect(await new Response(stream as unknown as ReadableStream).text()).toBe("grün, gelb");
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0, closed: false });
  });

  test("reads nothing before it is asked", async () => {
    const { session } = guardOf();
    const source = new Readable({ read: () => expect.unreachable() });
    session.readableStream(source);
    await settle();
    expect(session.memoryUsageBytes).toBe(0);
    await session.close();
    expect(source.destroyed).toBe(true);
  });

  test("keeps a chunk charged until the next is asked for", async () => {
    const { session } = guardOf();
    const reader = session
      .readableStream(chunks(new Uint8Array(100), new Uint8Array(30)))
      .getReader();
    await reader.read();
    expect(session.memoryUsageBytes).toBe(100);
    await reader.read();
    expect(session.memoryUsageBytes).toBe(30);
    expect((await reader.read()).done).toBe(true);
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("of bytes leaves the chunk to the source that made it", async () => {
    const { session } = guardOf();
    const chunk = new Uint8Array([1, 2, 3]);
    const reader = session.readableStream(chunks(chunk, chunk), { type: "bytes" }).getReader();
    const read = [await reader.read(), await reader.read()].map(({ value }) => [...value!]);
    expect(read).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(chunk.byteLength).toBe(3);
  });

  test("of bytes charges a chunk until a reader's buffers have taken all of it", async () => {
    const { session } = guardOf();
    const stream = session.readableStream(chunks(new Uint8Array(10), "end"), { type: "bytes" });
    const reader = stream.getReader({ mode: "byob" });
    for (const length of [4, 4, 2]) {
      const { value } = await reader.read(new Uint8Array(4));
      expect(value?.byteLength).toBe(length);
      expect(session.memoryUsageBytes).toBe(10);
    }
    await reader.read(new Uint8Array(4));
    expect(session.memoryUsageBytes).toBe(3);
    expect((await reader.read(new Uint8Array(4))).done).toBe(true);
    expect(session.memoryUsageBytes).toBe(0);
  });

  test("that ends within an element of a reader's buffer fails, and holds nothing", async () => {
    const { session } = guardOf();
    const stream = session.readableStream(chunks("abc"), { type: "bytes" });
    const reader = stream.getReader({ mode: "byob" });
    await reader.read(new Uint16Array(1));
    await expect(reader.read(new Uint16Array(1))).rejects.toThrow(TypeError);
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0 });
  });

  test("fails at once when its session closes, also when nobody reads", async () => {
    const { session } = guardOf();
    const reader = session.readableStream(chunks("a")).getReader();
    const closed = reader.closed.catch((error: unknown) => error);
    await session.close("evicted");
    expect(await closed).toBeInstanceOf(SessionClosedError);
  });

  test("of another type does not exist", async () => {
    const { session } = guardOf();
    const options = { type: "text" } as unknown as { readonly type: "bytes" };
    expect(() => session.readableStream(chunks("a"), options)).toThrow(InvalidArgumentError);
    expect(() => session.readableStream(42 as unknown as Readable)).toThrow(InvalidArgumentError);
    expect(() => session.readable(42 as unknown as Readable)).toThrow(InvalidArgumentError);
  });
});

describe("writing to a WritableStream", () => {
  test("it gets bytes, is closed, and is counted", async () => {
    const { session } = guardOf();
    const received: unknown[] = [];
    const writable = new WritableStream<Uint8Array>({
      write: (chunk) => void received.push(chunk),
      close: () => void received.push("closed"),
    });
    const result = await session.writeTo(writable, chunks("grün", new Uint8Array(2)));
    expect(result).toEqual({ bytes: 7, chunks: 2 });
    expect(received).toEqual([new TextEncoder().encode("grün"), new Uint8Array(2), "closed"]);
    expect(session).toMatchObject({ memoryUsageBytes: 0, operations: 0 });
  });

  test("one that is to stay open is unlocked and takes more", async () => {
    const { session } = guardOf();
    const received: number[] = [];
    const writable = new WritableStream<Uint8Array>({
      write: (chunk) => void received.push(chunk.byteLength),
    });
    await session.writeTo(writable, chunks("a"), { end: false });
    await session.writeTo(writable, chunks("bc"));
    expect(received).toEqual([1, 2]);
  });

  test("one that another writer has is refused, and neither end is touched", async () => {
    const { session } = guardOf();
    const writable = new WritableStream<Uint8Array>();
    writable.getWriter();
    const source = ReadableStream.from(["a"]);
    await expect(session.writeTo(writable, source)).rejects.toMatchObject({ argument: "writable" });
    expect([session.closed, source.locked]).toEqual([false, false]);
    const none = session.writeTo({} as unknown as WritableStream, source);
    await expect(none).rejects.toMatchObject({ argument: "writable" });
    const wrong = session.writeTo(new WritableStream(), 42 as unknown as Readable);
    await expect(wrong).rejects.toMatchObject({ argument: "source" });
  });

  test("a sink that fails is the cause of the error, and ends the source", async () => {
    const { session } = guardOf();
    const source = new Readable({ read: () => void source.push("a") });
    const writable = new WritableStream<Uint8Array>({
      write: () => Promise.reject(new Error("disk full")),
    });
    const error = await session.writeTo(writable, source).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DestinationClosedError);
    expect(error).toMatchObject({ cause: { message: "disk full" } });
    expect(source.destroyed).toBe(true);
    expect(session).toMatchObject({ closeReason: "destination", memoryUsageBytes: 0 });
  });

  test("a sink that accepts nothing is aborted after drainTimeoutMs, with the reason", async () => {
    const { session, time } = guardOf();
    let aborted: unknown;
    const writable = new WritableStream<Uint8Array>(
      {
        write: (_chunk, controller) =>
          new Promise((_, reject) => {
            const { signal } = controller as unknown as { readonly signal: AbortSignal };
            signal.addEventListener("abort", () => {
              aborted = signal.reason;
              reject(signal.reason as Error);
            });
          }),
      },
      { highWaterMark: 200, size: (chunk) => chunk?.byteLength ?? 0 },
    );
    const source = chunks(...Array.from({ length: 9 }, () => new Uint8Array(100)));
    const failed = session
      .writeTo(writable, source, { drainTimeoutMs: 1000 })
      .catch((error: unknown) => error);
    for (let turn = 0; turn < 5; turn += 1) await settle();
    expect(session.memoryUsageBytes).toBe(200);
    time.advance(1000);
    expect(await failed).toBeInstanceOf(DrainTimeoutError);
    expect(aborted).toBeInstanceOf(DrainTimeoutError);
    expect(session).toMatchObject({ closeReason: "destination", memoryUsageBytes: 0 });
  });

  test("one that is closed or failed already is refused", async () => {
    for (const end of ["close", "abort"] as const) {
      const { session } = guardOf();
      const writable = new WritableStream<Uint8Array>();
      await writable[end]();
      await expect(session.writeTo(writable, chunks("a", "b"))).rejects.toThrow(
        DestinationClosedError,
      );
      expect(session).toMatchObject({ closeReason: "destination", memoryUsageBytes: 0 });
    }
  });
});
