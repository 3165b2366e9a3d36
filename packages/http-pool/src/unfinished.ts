import type { Exchange } from "./exchange.ts";
import type { Slots } from "./slots.ts";
import type { WaitQueue } from "./wait-queue.ts";

export interface UnfinishedHost {
  /** Those who were told to wait with more need not any longer. */
  drain(): void;
  /** The pool is closed, and nothing of it is left. */
  over(): void;
}

/** What of a pool has not ended, in the queue, on a connection or in between; and who waits for that. */
export class Unfinished {
  readonly #slots: Slots;
  readonly #queue: WaitQueue;
  readonly #host: UnfinishedHost;
  readonly #drained: (() => void)[] = [];
  readonly #emptied: (() => void)[] = [];
  /** Health checks too. */
  #requests = 0;
  #streams = 0;
  #needDrain = false;
  #ending = false;

  constructor(slots: Slots, queue: WaitQueue, host: UnfinishedHost) {
    this.#slots = slots;
    this.#queue = queue;
    this.#host = host;
  }

  /** The pool takes nothing new any more. */
  get ending(): boolean {
    return this.#ending;
  }

  begun(exchange: Exchange): void {
    this.#count(exchange, 1);
  }

  ended(exchange: Exchange): void {
    this.#count(exchange, -1);
    if (this.#ending || this.#drained.length > 0) queueMicrotask(() => this.settle());
  }

  /** One that counted as a request counts as a stream from now on. */
  becameStream(): void {
    this.#requests -= 1;
    this.#streams += 1;
  }

  /** Whether more may come: while requests wait it must not, until `drain`. */
  mayGoOn(): boolean {
    this.#needDrain ||= this.#queue.size > 0;
    return !this.#needDrain;
  }

  /** Resolves once no request waits or is under way. */
  drain(): Promise<void> {
    if (this.#quiet) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  end(): void {
    this.#ending = true;
  }

  /** Resolves once all that was under way at the end of the pool is over, and every connection closed. */
  emptied(): Promise<void> {
    return new Promise((resolve) => {
      this.#emptied.push(resolve);
      this.settle();
    });
  }

  /** Something ended: tells those who waited for it. */
  settle(): void {
    if (this.#queue.size > 0) return;
    if (this.#drained.length > 0 && this.#quiet)
      for (const resolve of this.#drained.splice(0)) resolve();
    if (this.#ending && this.#quiet && this.#streams === 0 && this.#slots.empty) this.#over();
    if (!this.#needDrain || this.#slots.idle + this.#slots.free === 0) return;
    this.#needDrain = false;
    this.#host.drain();
  }

  #over(): void {
    this.#host.over();
    for (const resolve of this.#emptied.splice(0)) resolve();
  }

  #count({ isStream }: Exchange, change: 1 | -1): void {
    if (isStream) this.#streams += change;
    else this.#requests += change;
  }

  get #quiet(): boolean {
    return this.#requests === 0 && !this.#slots.busy;
  }
}
