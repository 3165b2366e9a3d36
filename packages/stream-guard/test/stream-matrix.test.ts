import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionClosedError, StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";
import { destinations, sources } from "./stream-ends.ts";
import type { ChunkReader, MakeChunk, WatchedSource } from "./stream-ends.ts";

const LIMIT_BYTES = 1 << 20;
/** What a source, a Node buffer of one byte and a chunk in hand may have asked for beyond what was read. */
const READ_AHEAD = 4;

interface Stream extends WatchedSource {
  readonly guard: StreamGuard;
  readonly session: StreamingSession;
  readonly reader: ChunkReader;
}

const pairs = Object.keys(sources).flatMap((from) =>
  Object.keys(destinations).map((to) => [from, to] as const),
);

describe.each(pairs)("from %s to %s", (from, to) => {
  // A Readable that has several small chunks joins them in a slice of Node's pool, which it pins.
  const slabBytes = from === "a Node Readable" ? Buffer.poolSize : 0;

  test("order and bytes are intact whatever the chunks' sizes, and nothing stays charged", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 12 }),
        async (sizes) => {
          const chunks = sizes.map((size, index) => filled(size, index));
          const stream = open(from, to, (index) => chunks[index]);
          const sent = createHash("sha256").update(Buffer.concat(chunks)).digest("hex");
          expect(await hashOf(stream.reader)).toBe(sent);
          await settle();
          const { usedBytes, peakBytes } = stream.guard.stats();
          expect(usedBytes).toBe(0);
          expect(peakBytes).toBeGreaterThanOrEqual(Math.max(0, ...sizes));
          expect(peakBytes).toBeLessThanOrEqual(2 * (Math.max(0, ...sizes) + slabBytes));
          expect(stream.session).toMatchObject({ closed: false, operations: 0 });
          await stream.session.close();
        },
      ),
      { numRuns: 12 },
    );
  });

  test("a reader that stops is not overtaken by its source", async () => {
    const stream = open(from, to, (index) => (index < 1000 ? filled(100, index) : undefined));
    await stream.reader.read();
    for (let turn = 0; turn < 20; turn += 1) await settle();
    expect(stream.pulls()).toBeLessThanOrEqual(1 + READ_AHEAD);
    expect(stream.session.memoryUsageBytes).toBeGreaterThanOrEqual(100);
    expect(stream.session.memoryUsageBytes).toBeLessThanOrEqual(200);
    await stream.session.close();
  });

  test("a reader that gives up ends the source, and nothing stays charged", async () => {
    const stream = open(from, to, (index) => filled(100, index));
    await stream.reader.read();
    await stream.reader.cancel();
    for (let turn = 0; turn < 3; turn += 1) await settle();
    expect(stream.cancelled()).toBe(true);
    expect(stream.guard.stats().usedBytes).toBe(0);
    expect(stream.session.operations).toBe(0);
  });

  test("the error of a source reaches the reader and closes the session", async () => {
    const stream = open(from, to, (index) => {
      if (index === 2) throw new Error("upstream broke");
      return filled(700, index);
    });
    const outcome = await read(stream.reader);
    expect(outcome.error).toMatchObject({ message: "upstream broke" });
    expect(stream.session).toMatchObject({ closeReason: "source", operations: 0 });
    expect(stream.guard.stats().usedBytes).toBe(0);
  });

  test("the end of the session reaches the reader and the source", async () => {
    const stream = open(from, to, (index) => filled(100, index));
    await stream.reader.read();
    await settle();
    await stream.session.close("evicted");
    const outcome = await read(stream.reader);
    expect(outcome.error).toBeInstanceOf(SessionClosedError);
    await settle();
    expect(stream.cancelled()).toBe(true);
    expect(stream.guard.stats().usedBytes).toBe(0);
  });
});

function open(from: string, to: string, make: MakeChunk): Stream {
  const { now, schedule } = new FakeTime();
  const guard = new StreamGuard({ sessionMaxMemoryBytes: LIMIT_BYTES, now, schedule });
  const session = guard.open();
  const watched = sources[from]!(make);
  return { guard, session, reader: destinations[to]!(session, watched.source), ...watched };
}

function filled(size: number, index: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (at * 31 + index * 17 + size) & 0xff);
}

async function hashOf(reader: ChunkReader): Promise<string> {
  const hash = createHash("sha256");
  for (;;) {
    const chunk = await reader.read();
    if (chunk === undefined) return hash.digest("hex");
    hash.update(chunk);
  }
}

/** Reads to the end, or to the error. */
async function read(reader: ChunkReader): Promise<{ readonly error?: unknown }> {
  try {
    await hashOf(reader);
    return {};
  } catch (error) {
    return { error };
  }
}
