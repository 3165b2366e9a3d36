import { InvalidArgumentError } from "./errors.ts";

/** What a stream may carry. */
export type Chunk = Uint8Array | string;

/**
 * Bytes that holding `chunk` keeps in memory: a view pins the whole buffer under it, a string counts
 * as the UTF-8 that will be written.
 *
 * @throws InvalidArgumentError when the chunk is neither a Uint8Array nor a string
 */
export function pinnedBytes(chunk: unknown): number {
  if (chunk instanceof Uint8Array) return chunk.buffer.byteLength;
  if (typeof chunk === "string") return Buffer.byteLength(chunk);
  throw new InvalidArgumentError("chunk", "a Uint8Array or a string", chunk);
}

/** Charges a buffer once, however many views of it are held (Node cuts small Buffers from one slab). */
export class PinnedBuffers {
  readonly #views = new Map<ArrayBufferLike, { count: number; readonly bytes: number }>();

  /**
   * Bytes to reserve before `chunk` is held.
   *
   * @throws InvalidArgumentError when the chunk is neither a Uint8Array nor a string
   */
  cost(chunk: Chunk): number {
    const bytes = pinnedBytes(chunk);
    return sharesBuffer(chunk) && this.#views.has(chunk.buffer) ? 0 : bytes;
  }

  /** Records that `chunk` is held; the returned function says how many bytes its end sets free. */
  hold(chunk: Chunk): () => number {
    if (!sharesBuffer(chunk)) {
      const bytes = pinnedBytes(chunk);
      return () => bytes;
    }
    const { buffer } = chunk;
    const entry = this.#views.get(buffer) ?? { count: 0, bytes: buffer.byteLength };
    entry.count += 1;
    this.#views.set(buffer, entry);
    return () => {
      entry.count -= 1;
      if (entry.count > 0) return 0;
      this.#views.delete(buffer);
      return entry.bytes;
    };
  }
}

function sharesBuffer(chunk: Chunk): chunk is Uint8Array {
  return typeof chunk !== "string" && chunk.byteLength < chunk.buffer.byteLength;
}
