import { pipeline, Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

/** More than one coding is unusual; many are an attack. */
const MAX_CODINGS = 3;
const LENIENT = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
const BROTLI = {
  flush: constants.BROTLI_OPERATION_FLUSH,
  finishFlush: constants.BROTLI_OPERATION_FLUSH,
};

const DECODERS: ReadonlyMap<string, () => Duplex> = new Map<string, () => Duplex>([
  ["gzip", () => createGunzip(LENIENT)],
  ["x-gzip", () => createGunzip(LENIENT)],
  ["deflate", () => createInflate(LENIENT)],
  ["br", () => createBrotliDecompress(BROTLI)],
]);

/** Undoes the codings of `Content-Encoding`; a body with one that is not known stays as it is. */
export function decodeBody(
  body: ReadableStream<Uint8Array>,
  contentEncoding: string,
): ReadableStream<Uint8Array> {
  const codings = contentEncoding.split(",").map((coding) => coding.trim().toLowerCase());
  const decoders = codings.map((coding) => DECODERS.get(coding));
  if (codings.length > MAX_CODINGS || !decoders.every((decoder) => decoder !== undefined))
    return body;
  let stream: Readable = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]);
  for (const decoder of decoders.toReversed()) {
    // An error reaches whoever reads through the last stream of the chain.
    stream = pipeline(stream, decoder(), () => undefined);
  }
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}
