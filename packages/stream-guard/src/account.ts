import { MemoryLimitError, OverReleaseError } from "./errors.ts";
import type { LimitScope } from "./errors.ts";
import { Ledger } from "./ledger.ts";
import type { Latch } from "./latch.ts";
import type { QueuedAccount, Refusal, ReserveQueue } from "./reserve-queue.ts";
import type { SourceGate } from "./source-gate.ts";

/** Share of an account's limit at which `softLimit` is reported, and below which it may be reported again. */
const SOFT_RATIO = 0.9;
const SOFT_REARM_RATIO = 0.8;

/** The guard's side of every account. */
export interface Bank {
  readonly ledger: Ledger;
  readonly queue: ReserveQueue;
  readonly gate: SourceGate;
  /** On while the total is so full that an account which holds nothing, and has nothing under way, is refused. */
  readonly scarcity: Latch;
  readonly retryAfterMs: number;
  /** While the total is less, `moved` would change nothing and need not be called. */
  calmBelowBytes: number;
  /** The total changed. */
  moved(): void;
  limit(error: MemoryLimitError): void;
}

/** Whose budget an account draws on, beside the guard's. */
export interface Budgets {
  readonly limitBytes: number;
  readonly principal: string | undefined;
  /** What all sessions of the principal hold. */
  readonly principalLedger: Ledger | undefined;
}

/** A session's bytes: what it takes is taken from its principal's and the guard's total too, and never from one alone. */
export class Account implements QueuedAccount {
  readonly id: string;
  readonly turnKey: unknown;
  /** Set whenever bytes move; whoever looks at it resets it. */
  moved = false;
  /** Operations of the session that are under way. */
  operations = 0;
  /** Those of them that only wait for memory. */
  waits = 0;
  readonly #bank: Bank;
  readonly #ledger: Ledger;
  readonly #principal: Ledger | undefined;
  readonly #onSoftLimit: () => void;
  readonly #softAtBytes: number;
  readonly #rearmAtBytes: number;
  #soft = false;

  constructor(bank: Bank, id: string, budgets: Budgets, onSoftLimit: () => void) {
    const { limitBytes, principal, principalLedger } = budgets;
    this.id = id;
    this.turnKey = principal ?? this;
    this.#bank = bank;
    this.#ledger = new Ledger(limitBytes);
    this.#principal = principalLedger;
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

  /** Who is at work is no newcomer any more: what it waits for may fit now. */
  begin(): void {
    this.operations += 1;
    this.#bank.queue.serve(this);
  }

  /** True when a source must read no further: the session first hands on what it holds. */
  get paused(): boolean {
    return this.#bank.gate.shut && this.#ledger.usedBytes > 0;
  }

  /** Calls `resume` once when a paused source may go on; the returned function cancels that. */
  park(resume: () => void): () => void {
    return this.#bank.gate.park(this, resume);
  }

  /** True when somebody waits who comes first. */
  get mustWait(): boolean {
    return this.#bank.queue.mustWait(this);
  }

  refusal(bytes: number): Refusal | undefined {
    const { ledger } = this.#bank;
    if (!this.#ledger.fits(bytes)) return "session";
    if (this.#principal?.fits(bytes) === false) return "principal";
    if (!ledger.fits(bytes)) return "guard";
    return this.#bank.scarcity.on && bytes > 0 && this.#isNewcomer ? "headroom" : undefined;
  }

  /** Whose limit is too small for `bytes`, whatever is released. */
  neverFits(bytes: number): Refusal | undefined {
    if (bytes > this.#ledger.limitBytes) return "session";
    return bytes > (this.#principal?.limitBytes ?? bytes) ? "principal" : undefined;
  }

  take(bytes: number): void {
    this.#ledger.take(bytes);
    this.#principal?.take(bytes);
    this.#bank.ledger.take(bytes);
    this.moved = true;
    if (!this.#soft && this.#ledger.usedBytes >= this.#softAtBytes) {
      this.#soft = true;
      this.#onSoftLimit();
    }
    if (this.#bank.ledger.usedBytes >= this.#bank.calmBelowBytes) this.#bank.moved();
  }

  /** @throws OverReleaseError when more is given than is held; nothing changes */
  give(bytes: number): void {
    const held = this.#ledger.usedBytes;
    if (bytes > held) throw new OverReleaseError(this.id, bytes, held);
    this.#ledger.give(bytes);
    this.#principal?.give(bytes);
    this.#bank.ledger.give(bytes);
    this.moved = true;
    if (this.#soft && this.#ledger.usedBytes <= this.#rearmAtBytes) this.#soft = false;
    if (this.#bank.ledger.usedBytes >= this.#bank.calmBelowBytes) this.#bank.moved();
    const { queue, gate } = this.#bank;
    if (queue.size > 0) queue.serve(this);
    if (gate.size > 0 && this.#ledger.usedBytes === 0) gate.drained(this);
  }

  exceeded(refusal: Refusal, bytes: number): MemoryLimitError {
    const scope = refusal === "headroom" ? "guard" : refusal;
    const { usedBytes, limitBytes } = this.#ledgerOf(scope);
    const error = new MemoryLimitError({
      scope,
      sessionId: this.id,
      requestedBytes: bytes,
      usedBytes,
      limitBytes,
      retryAfterMs: this.#bank.retryAfterMs,
    });
    this.#bank.limit(error);
    return error;
  }

  #ledgerOf(scope: LimitScope): Ledger {
    if (scope === "session") return this.#ledger;
    return (scope === "principal" ? this.#principal : undefined) ?? this.#bank.ledger;
  }

  get #isNewcomer(): boolean {
    return this.#ledger.usedBytes === 0 && this.operations === this.waits;
  }
}
