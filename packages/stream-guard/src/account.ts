import { MemoryLimitError, OverReleaseError } from "./errors.ts";
import { Ledger } from "./ledger.ts";
import type { QueuedAccount, Refusal, ReserveQueue } from "./reserve-queue.ts";

/** Share of an account's limit at which `softLimit` is reported, and below which it may be reported again. */
const SOFT_RATIO = 0.9;
const SOFT_REARM_RATIO = 0.8;

/** The guard's side of every account. */
export interface Bank {
  readonly ledger: Ledger;
  readonly queue: ReserveQueue;
  /** Use of the total from which an account that holds nothing is refused. */
  readonly headroomAtBytes: number;
  readonly retryAfterMs: number;
  /** The total changed. */
  moved(): void;
  limit(error: MemoryLimitError): void;
}

/** A session's bytes: what it takes is taken from the guard's total too, and never from one alone. */
export class Account implements QueuedAccount {
  readonly id: string;
  /** Set whenever bytes move; whoever looks at it resets it. */
  moved = false;
  /** Operations of the session that are under way. */
  operations = 0;
  readonly #bank: Bank;
  readonly #ledger: Ledger;
  readonly #onSoftLimit: () => void;
  readonly #softAtBytes: number;
  readonly #rearmAtBytes: number;
  #soft = false;

  constructor(bank: Bank, id: string, limitBytes: number, onSoftLimit: () => void) {
    this.id = id;
    this.#bank = bank;
    this.#ledger = new Ledger(limitBytes);
    this.#onSoftLimit = onSoftLimit;
    this.#softAtBytes = Math.ceil(limitBytes * SOFT_RATIO);
    this.#rearmAtBytes = Math.floor(limitBytes * SOFT_REARM_RATIO);
  }

  get usedBytes(): number {
    return this.#ledger.usedBytes;
  }

  get peakBytes(): number {
    return this.#ledger.peakBytes;
  }

  get limitBytes(): number {
    return this.#ledger.limitBytes;
  }

  refusal(bytes: number): Refusal | undefined {
    const { ledger, headroomAtBytes } = this.#bank;
    if (!this.#ledger.fits(bytes)) return "session";
    if (!ledger.fits(bytes)) return "guard";
    const newcomer = this.#ledger.usedBytes === 0 && bytes > 0;
    return newcomer && ledger.usedBytes >= headroomAtBytes ? "headroom" : undefined;
  }

  take(bytes: number): void {
    this.#ledger.take(bytes);
    this.#bank.ledger.take(bytes);
    this.moved = true;
    if (!this.#soft && this.#ledger.usedBytes >= this.#softAtBytes) {
      this.#soft = true;
      this.#onSoftLimit();
    }
    this.#bank.moved();
  }

  /** @throws OverReleaseError when more is given than is held; nothing changes */
  give(bytes: number): void {
    const held = this.#ledger.usedBytes;
    if (bytes > held) throw new OverReleaseError(this.id, bytes, held);
    this.#ledger.give(bytes);
    this.#bank.ledger.give(bytes);
    this.moved = true;
    if (this.#soft && this.#ledger.usedBytes <= this.#rearmAtBytes) this.#soft = false;
    this.#bank.moved();
    this.#bank.queue.serve(this);
  }

  exceeded(refusal: Refusal, bytes: number): MemoryLimitError {
    const ledger = refusal === "session" ? this.#ledger : this.#bank.ledger;
    const error = new MemoryLimitError({
      scope: refusal === "session" ? "session" : "guard",
      sessionId: this.id,
      requestedBytes: bytes,
      usedBytes: ledger.usedBytes,
      limitBytes: ledger.limitBytes,
      retryAfterMs: this.#bank.retryAfterMs,
    });
    this.#bank.limit(error);
    return error;
  }
}
