import { Readable } from "node:stream";
import type { Account } from "./account.ts";
import { ChargedReader } from "./charged-reader.ts";
import type { Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

interface HeldChunk {
  readonly lengthBytes: number;
  /** What it pins, and is charged for. */
  readonly bytes: number;
}

/**
 * See `StreamingSession.readable`. Nothing is read ahead (`highWaterMark: 0`), unless `read(n)` asks
 * for more than there is; then each chunk stays charged until the buffer has none of it left.
 */
export class SessionReadable extends Readable {
  readonly #session: StreamingSession;
  readonly #reader: ChargedReader;
  /** Oldest first. */
  readonly #held: HeldChunk[] = [];
  #heldLengthBytes = 0;
  #heldBytes = 0;

  constructor(session: StreamingSession, account: Account, source: Source) {
    super({ highWaterMark: 0 });
    this.#session = session;
    this.#reader = new ChargedReader(session, account, source, {
      heldBytes: () => this.#heldBytes,
      onChunk: this.#onChunk,
      onFailure: (reason) => {
        this.destroy(reason as Error);
      },
    });
  }

  override _read(): void {
    this.#releaseTaken();
    this.#reader.read();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#reader.stop();
    this.#release(this.#held.length);
    callback(error);
  }

  readonly #onChunk = (chunk: Uint8Array | undefined, bytes: number): void => {
    if (chunk === undefined) {
      this.#releaseTaken();
      this.push(null);
      return;
    }
    this.#held.push({ lengthBytes: chunk.byteLength, bytes });
    this.#heldLengthBytes += chunk.byteLength;
    this.#heldBytes += bytes;
    if (chunk.byteLength === 0) this.#skip();
    else this.push(chunk);
  };

  /** Pushing nothing would end the read without an answer to whoever waits for one. */
  #skip(): void {
    this.#releaseTaken();
    this.#reader.read();
  }

  #releaseTaken(): void {
    let count = 0;
    let leftBytes = this.#heldLengthBytes;
    for (const { lengthBytes } of this.#held) {
      leftBytes -= lengthBytes;
      if (leftBytes < this.readableLength) break;
      count += 1;
    }
    this.#release(count);
  }

  #release(count: number): void {
    if (count === 0) return;
    let bytes = 0;
    for (const held of this.#held.splice(0, count)) {
      bytes += held.bytes;
      this.#heldLengthBytes -= held.lengthBytes;
    }
    this.#heldBytes -= bytes;
    this.#session.release(bytes);
  }
}
