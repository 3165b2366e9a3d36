import { MessageTooLargeError } from "./errors.ts";
import type { StreamingSession } from "./streaming-session.ts";

const FIRST_CAPACITY_BYTES = 4096;
/** Growth by a share keeps the cost of all copies linear, also where there is no room to double. */
const LEAST_GROWTH_RATIO = 9 / 8;

/**
 * One buffer into which parts are copied, charged to a session by its capacity: what arrives in a thousand
 * parts costs no more than what arrives in one, and pins none of them. The buffer it grows out of is
 * garbage in the same turn, and not charged beside the new one.
 */
export class GrowingBuffer {
  readonly #session: StreamingSession;
  readonly #maxBytes: number;
  #buffer: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #lengthBytes = 0;

  constructor(session: StreamingSession, maxBytes: number) {
    this.#session = session;
    this.#maxBytes = maxBytes;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** What is charged. */
  get capacityBytes(): number {
    return this.#buffer.length;
  }

  /** What was appended; not a copy. */
  get bytes(): Buffer<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#lengthBytes);
  }

  /**
   * False, and nothing changed, when there is no room for it, or others wait whose turn comes first.
   *
   * @throws MessageTooLargeError beyond `maxBytes`
   * @throws SessionClosedError
   */
  append(part: Uint8Array): boolean {
    const needed = this.#needed(part);
    const fits =
      needed <= this.#buffer.length ||
      this.#grow(this.#target(needed, 2)) ||
      this.#grow(this.#target(needed, LEAST_GROWTH_RATIO)) ||
      this.#growToLimit(needed);
    if (fits) this.#copy(part);
    return fits;
  }

  /**
   * The same, but waits for room; what is cleared meanwhile stays empty.
   *
   * @throws MemoryLimitError, QueueFullError, MessageTooLargeError, SessionClosedError or the signal's reason
   */
  async appendWhenAvailable(part: Uint8Array, signal: AbortSignal): Promise<void> {
    const before = this.#buffer;
    const capacity = this.#target(this.#needed(part), LEAST_GROWTH_RATIO);
    const growth = capacity - before.length;
    await this.#session.reserveWhenAvailable(growth, { signal });
    if (this.#buffer !== before) {
      this.#session.release(growth);
      return;
    }
    this.#move(capacity);
    this.#copy(part);
  }

  /** Gives back what is charged, and forgets what was appended. */
  clear(): void {
    const { length } = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    this.#lengthBytes = 0;
    if (length > 0) this.#session.release(length);
  }

  #needed(part: Uint8Array): number {
    const needed = this.#lengthBytes + part.length;
    if (needed > this.#maxBytes) throw new MessageTooLargeError(needed, this.#maxBytes);
    return needed;
  }

  #target(needed: number, ratio: number): number {
    const grown = Math.ceil(this.#buffer.length * ratio);
    return Math.min(this.#maxBytes, Math.max(FIRST_CAPACITY_BYTES, grown, needed));
  }

  #grow(capacity: number): boolean {
    if (!this.#session.tryReserveInTurn(capacity - this.#buffer.length)) return false;
    this.#move(capacity);
    return true;
  }

  /** The last step, by all that the session has left. */
  #growToLimit(needed: number): boolean {
    const { maxMemoryBytes, memoryUsageBytes } = this.#session;
    const roomBytes = this.#buffer.length + maxMemoryBytes - memoryUsageBytes;
    const capacity = Math.min(this.#maxBytes, roomBytes);
    return capacity >= needed && this.#grow(capacity);
  }

  #move(capacity: number): void {
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(grown, 0, 0, this.#lengthBytes);
    this.#buffer = grown;
  }

  #copy(part: Uint8Array): void {
    this.#buffer.set(part, this.#lengthBytes);
    this.#lengthBytes += part.length;
  }
}
