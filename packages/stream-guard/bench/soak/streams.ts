// Sources that make a number of chunks, and the ways of a session to hand them on.
import { Readable, Writable } from "node:stream";
import { ReadableStream, WritableStream } from "node:stream/web";
import type { Source, StreamingSession } from "@mcp-accel/stream-guard";

export type MakeChunk = () => Uint8Array;
export type MakeSource = (count: number, make: MakeChunk) => Source;
/** Takes all of `source` through the session. */
export type Transfer = (session: StreamingSession, source: Source) => Promise<void>;

export const SOURCES: readonly MakeSource[] = [
  async function* generator(count, make) {
    for (let index = 0; index < count; index += 1) yield make();
  },
  (count, make) => {
    let index = 0;
    return new Readable({
      read() {
        this.push(index < count ? make() : null);
        index += 1;
      },
    });
  },
  (count, make) => {
    let index = 0;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (index < count) controller.enqueue(make());
        else controller.close();
        index += 1;
      },
    });
  },
];

export const TRANSFERS: readonly Transfer[] = [
  (session, source) => drain(session.pipe(source)),
  (session, source) => drain(session.readable(source)),
  (session, source) => drain(session.readableStream(source)),
  async (session, source) => {
    await session.writeTo(new Writable({ write }), source);
  },
  async (session, source) => {
    await session.writeTo(new WritableStream(), source);
  },
];

function write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
  callback();
}

async function drain(chunks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of chunks);
}
