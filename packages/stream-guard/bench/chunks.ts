export const CHUNK_BYTES: number = 16 * 1024;
export const CHUNKS = 256;

const shared = new Uint8Array(CHUNK_BYTES);

/** `making`: each chunk is new and filled; otherwise the source does nothing but hand one on. */
export async function* source(making: boolean): AsyncGenerator<Uint8Array> {
  for (let count = 0; count < CHUNKS; count += 1)
    yield making ? new Uint8Array(CHUNK_BYTES).fill(count) : shared;
}

export async function* passOn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  for await (const chunk of chunks) yield [chunk];
}

export async function drain(chunks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of chunks);
}
