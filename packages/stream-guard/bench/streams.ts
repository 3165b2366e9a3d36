// What do a session's streams cost for each 16 KiB chunk, over Node's and the web's own?
import { PassThrough, Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ReadableStream, TransformStream, WritableStream } from "node:stream/web";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { CHUNKS, drain, source } from "./chunks.ts";
import { ask } from "./paired.ts";
import type { Contender } from "./paired.ts";

const guard = new StreamGuard();

await ask([
  {
    title: "streams: from a generator to a Node Writable",
    contenders: [
      contender("stream.pipeline", () => pipeline(source(true), sink())),
      guarded("session.writeTo", (session) => session.writeTo(sink(), source(true))),
      contender("pipeline through a PassThrough", () =>
        pipeline(source(true), new PassThrough(), sink()),
      ),
    ],
  },
  {
    title: "streams: from a generator to a WritableStream",
    contenders: [
      contender("ReadableStream.from and pipeTo", () =>
        ReadableStream.from(source(true)).pipeTo(new WritableStream()),
      ),
      guarded("session.writeTo", (session) => session.writeTo(new WritableStream(), source(true))),
    ],
  },
  {
    title: "streams: from a generator to a Node Readable",
    contenders: [
      contender("Readable.from", () => drain(Readable.from(source(true), { objectMode: false }))),
      guarded("session.readable", (session) => drain(session.readable(source(true)))),
      contender("Readable.from through a Transform", () =>
        drain(Readable.from(source(true), { objectMode: false }).pipe(identity())),
      ),
    ],
  },
  {
    title: "streams: from a generator to a ReadableStream",
    contenders: [
      contender("ReadableStream.from", () => drain(ReadableStream.from(source(true)))),
      guarded("session.readableStream", (session) => drain(session.readableStream(source(true)))),
      guarded("session.readableStream of bytes", (session) =>
        drain(session.readableStream(source(true), { type: "bytes" })),
      ),
      contender("ReadableStream.from through a TransformStream", () =>
        drain(ReadableStream.from(source(true)).pipeThrough(new TransformStream())),
      ),
    ],
  },
]);
await guard.close();

function contender(name: string, run: () => Promise<unknown>): Contender {
  return { name, perRun: CHUNKS, run };
}

function guarded(name: string, run: (session: StreamingSession) => Promise<unknown>): Contender {
  return contender(name, async () => {
    const session = guard.open();
    await run(session);
    await session.close();
  });
}

function sink(): Writable {
  return new Writable({
    write: (_chunk, _encoding, callback) => {
      callback();
    },
  });
}

function identity(): Transform {
  return new Transform({
    transform: (chunk, _encoding, callback) => {
      callback(null, chunk);
    },
  });
}
