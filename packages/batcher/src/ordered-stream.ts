import { BatchDeadlineError } from "./errors.ts";
import type { Waiter } from "./intake.ts";
import type { Job } from "./job.ts";
import { CallContext } from "./nesting.ts";
import type { Timers } from "./timers.ts";

export interface StreamInit<T, R> {
  readonly source: AsyncIterable<T> | Iterable<T>;
  readonly windowItems: number;
  readonly signal: AbortSignal | undefined;
  /** Of each item, from when it was read. */
  readonly deadlineMs: number | undefined;
  readonly now: () => number;
  readonly timers: Timers;
  submit(
    item: T,
    outcome: Outcome<R>,
    context: CallContext | undefined,
    deadlineAt: number | undefined,
  ): Job<T, R> | undefined;
  waitForRoom(waiter: Waiter, context: CallContext | undefined): void;
}

interface Outcome<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (reason: unknown) => void;
}

/** Results in the source's order, with at most `windowItems` items read ahead of the consumer. */
export async function* orderedStream<T, R>(
  init: StreamInit<T, R>,
): AsyncGenerator<PromiseSettledResult<R>, void, undefined> {
  const window = new StreamWindow(init);
  try {
    yield* window.results();
  } finally {
    window.stop();
  }
}

type Pending<R> = Promise<PromiseSettledResult<R>>;

class StreamWindow<T, R> {
  readonly #init: StreamInit<T, R>;
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  readonly #pending: Pending<R>[] = [];
  readonly #open = new Map<Outcome<R>, Job<T, R> | undefined>();
  #stopped = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined = undefined;
  #wakeReader: (() => void) | undefined = undefined;
  #wakeConsumer: (() => void) | undefined = undefined;

  constructor(init: StreamInit<T, R>) {
    this.#init = init;
    const { source } = init;
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  async *results(): AsyncGenerator<PromiseSettledResult<R>, void, undefined> {
    const onAbort = (): void => this.stop();
    const { signal } = this.#init;
    signal?.addEventListener("abort", onAbort, { once: true });
    void this.#read();
    try {
      for (;;) {
        signal?.throwIfAborted();
        const [head] = this.#pending;
        if (head !== undefined) {
          const result = await head;
          signal?.throwIfAborted();
          void this.#pending.shift();
          this.#wakeReader?.();
          yield result;
        } else if (this.#ended) break;
        else await this.#untilRead();
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Drops what was read ahead and ends the source. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wakeReader?.();
    this.#wakeConsumer?.();
    const reason: unknown =
      this.#init.signal?.reason ?? new DOMException("The stream was left", "AbortError");
    for (const [outcome, job] of this.#open)
      if (job === undefined) outcome.reject(reason);
      else job.reject(reason, "aborted");
    if (!this.#ended) void endIterator(this.#iterator);
  }

  async #read(): Promise<void> {
    try {
      while (!this.#stopped) {
        if (this.#pending.length >= this.#init.windowItems) {
          await new Promise<void>((resolve) => (this.#wakeReader = resolve));
          continue;
        }
        const next = await this.#iterator.next();
        if (next.done === true) break;
        if (!this.#stopped) await this.#enter(next.value);
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#ended = true;
    this.#wakeConsumer?.();
  }

  /** Resolves once the item is in the queue, or settled without it. */
  #enter(item: T): Promise<void> {
    const context = CallContext.current();
    const { deadlineMs, now, timers } = this.#init;
    const deadlineAt = deadlineMs === undefined ? undefined : now() + deadlineMs;
    return new Promise((entered) => {
      const result: Pending<R> = new Promise((settle) => {
        let timer: unknown;
        const outcome = this.#outcome((ended) => {
          timers.clear(timer);
          settle(ended);
        });
        const refuse = (reason: unknown): void => {
          outcome.reject(reason);
          entered();
        };
        this.#open.set(outcome, undefined);
        if (deadlineMs !== undefined)
          timer = timers.set(
            () => {
              const job = this.#open.get(outcome);
              if (job === undefined) refuse(new BatchDeadlineError(deadlineMs, false));
              else job.expire();
            },
            deadlineMs,
            true,
          );
        const admit = (): boolean => {
          try {
            if (!this.#admit(item, outcome, context, deadlineAt)) return false;
            entered();
          } catch (error) {
            refuse(error);
          }
          return true;
        };
        this.#init.waitForRoom({ admit, refuse }, context);
      });
      this.#pending.push(result);
      this.#wakeConsumer?.();
    });
  }

  #admit(
    item: T,
    outcome: Outcome<R>,
    context: CallContext | undefined,
    deadlineAt: number | undefined,
  ): boolean {
    if (this.#stopped || !this.#open.has(outcome)) return true;
    const job = this.#init.submit(item, outcome, context, deadlineAt);
    if (job === undefined) return false;
    this.#open.set(outcome, job);
    return true;
  }

  #outcome(settle: (result: PromiseSettledResult<R>) => void): Outcome<R> {
    const outcome: Outcome<R> = {
      resolve: (value) => {
        this.#open.delete(outcome);
        settle({ status: "fulfilled", value });
      },
      reject: (reason) => {
        this.#open.delete(outcome);
        settle({ status: "rejected", reason });
      },
    };
    return outcome;
  }

  #untilRead(): Promise<void> {
    return new Promise((resolve) => (this.#wakeConsumer = resolve));
  }
}

async function endIterator(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The consumer has left: there is nobody to tell.
  }
}
