import type { Timers } from "./timers.ts";

/** At most so many answers are kept for `dedupeWindowMs`; the oldest go first. */
export const mostKept = 10_000;
/** And at most so many bytes of strings and binary data in them. */
export const mostKeptBytes: number = 64 * 1024 * 1024;

interface Kept<R> {
  readonly value: R;
  readonly endedAt: number;
  readonly bytes: number;
}

export interface KeptAnswersInit {
  readonly now: () => number;
  readonly timers: Timers;
  windowMs(): number;
}

/** Answers by key, oldest first, each for as long as the window is when it is asked for. They are freed in time by themselves. */
export class KeptAnswers<R> {
  readonly #init: KeptAnswersInit;
  readonly #kept = new Map<string, Kept<R>>();
  #bytes = 0;
  #timer: unknown = undefined;

  constructor(init: KeptAnswersInit) {
    this.#init = init;
  }

  get(key: string): { readonly value: R } | undefined {
    const kept = this.#kept.get(key);
    return kept === undefined || this.#isPast(kept) ? undefined : kept;
  }

  keep(key: string, value: R): void {
    if (this.#init.windowMs() === 0) return;
    const bytes = bytesOf(value);
    this.#delete(key);
    if (bytes > mostKeptBytes) return;
    this.#kept.set(key, { value, endedAt: this.#init.now(), bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= mostKept && this.#bytes <= mostKeptBytes) break;
      this.#delete(oldest);
    }
    if (this.#timer === undefined) this.#arm();
  }

  /** Frees what is past the window. */
  prune(): void {
    for (const [key, kept] of this.#kept) {
      if (!this.#isPast(kept)) break;
      this.#delete(key);
    }
    this.#disarm();
    this.#arm();
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
    this.#disarm();
  }

  #isPast({ endedAt }: Kept<R>): boolean {
    return this.#init.now() - endedAt >= this.#init.windowMs();
  }

  #delete(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#bytes -= kept.bytes;
    this.#kept.delete(key);
  }

  /** For the oldest; the timer does not hold the process. */
  #arm(): void {
    const { now, timers } = this.#init;
    const windowMs = this.#init.windowMs();
    for (const { endedAt } of this.#kept.values()) {
      const leftMs = endedAt + windowMs - now();
      this.#timer = timers.set(() => this.prune(), Math.max(leftMs, 1), false);
      return;
    }
  }

  #disarm(): void {
    this.#init.timers.clear(this.#timer);
    this.#timer = undefined;
  }
}

/** Of a string or binary data, itself or directly in an object or an array; the rest counts by number. */
function bytesOf(value: unknown, deep = true): number {
  if (typeof value === "string") return value.length * 2;
  if (typeof value !== "object" || value === null) return 0;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
  if (!deep) return 0;
  let bytes = 0;
  for (const each of Object.values(Object.getOwnPropertyDescriptors(value)))
    bytes += bytesOf(each.value, false);
  return bytes;
}
