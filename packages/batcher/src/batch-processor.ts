import { AsyncResource } from "node:async_hooks";
import { checkAddOptions, checkSharedOptions } from "./add-options.ts";
import type { AddOptions, SharedOptions } from "./add-options.ts";
import type { BatchRecord } from "./controller.ts";
import { BatcherOptionError, BatcherReentryError, BatchOverloadError } from "./errors.ts";
import { Engine } from "./engine.ts";
import { checkListener } from "./events.ts";
import type { BatcherEvents } from "./events.ts";
import { Intake } from "./intake.ts";
import { batcherFamilies } from "./metric-families.ts";
import type { MetricFamily } from "./metric-families.ts";
import { CallContext } from "./nesting.ts";
import { checkFunction, checkInteger, checkKnown, checkSignal, resolveOptions } from "./options.ts";
import type { BatchProcessorOptions, TunableOptions } from "./options.ts";
import { orderedStream } from "./ordered-stream.ts";
import type { Processor } from "./processor.ts";
import type { BatcherStats } from "./stats.ts";

/** `deadlineMs` counts from the call, waiting for room included. */
export interface ProcessBatchOptions extends SharedOptions {
  /** Called at most once a tick with how many of the items are done; it never goes back. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `deadlineMs` counts for each item from when it was read. */
export interface StreamOptions extends SharedOptions {
  /** How many items may be read ahead of the consumer. Default: one full round, `maxBatchSize * maxConcurrentBatches`. */
  readonly windowItems?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const sharedNames = ["priority", "deadlineMs", "key"];

/** Turns single items into batches for a bulk processor, and every item's result back into its own promise. */
export class BatchProcessor<T, R> {
  readonly #processor: Processor<T, R>;
  readonly #engine: Engine<T, R>;
  readonly #families: readonly MetricFamily[];

  /** @throws BatcherOptionError */
  constructor(processor: Processor<T, R>, options: BatchProcessorOptions<T, R> = {}) {
    checkFunction("processor", processor);
    this.#processor = processor;
    this.#engine = new Engine(resolveOptions(options));
    this.#families = batcherFamilies(() => this.stats());
  }

  /**
   * Settles with the item's own result. Rejects with what its processor gave for it, the signal's reason, or one of
   * `BatchOverloadError`, `BatchDeadlineError`, `BatchTimeoutError`, `BatchContractError`, `BatchItemError`, `BatchItemTooLargeError`,
   * `BatchClosedError`, `BatcherOptionError`.
   */
  add(item: T, options?: AddOptions): Promise<R> {
    return new Promise((resolve, reject) => {
      if (options !== undefined) {
        checkAddOptions(options);
        options.signal?.throwIfAborted();
      }
      if (!this.#engine.add(item, this.#processor, resolve, reject, options))
        reject(this.#overload(options?.key));
    });
  }

  /**
   * Results in the items' order, each settled on its own; waits for room in the queue instead of failing. The items share
   * calls with others of the same processor. Rejects only for wrong arguments, with `BatcherOptionError`.
   */
  processBatch(
    items: readonly T[],
    processor: Processor<T, R> = this.#processor,
    options: ProcessBatchOptions = {},
  ): Promise<PromiseSettledResult<R>[]> {
    return new Promise((resolve) => {
      checkKnown(options, ["onProgress", "signal", ...sharedNames]);
      const { deadlineMs, key, onProgress, priority, signal } = options;
      const context = CallContext.current();
      if (!Array.isArray(items)) throw new BatcherOptionError("items", "an array", items);
      checkFunction("processor", processor);
      checkSignal(signal);
      checkSharedOptions(options);
      if (onProgress !== undefined) checkFunction("onProgress", onProgress);
      if (items.length === 0) return resolve([]);
      const engine = this.#engine;
      const deadlineAt = deadlineMs === undefined ? undefined : engine.now() + deadlineMs;
      const terms = { deadlineAt, deadlineMs, key, priority };
      const intake = new Intake<T, R>({
        items: [...items],
        signal,
        deadlineMs,
        timers: engine.timers,
        onProgress: onProgress === undefined ? undefined : AsyncResource.bind(onProgress),
        submit: (item, fulfil, reject) =>
          engine.submit(item, processor, fulfil, reject, context, terms),
        onSettled: resolve,
      });
      if (signal?.aborted === true) intake.refuse(signal.reason);
      else engine.waitForRoom(intake, context, key);
    });
  }

  /**
   * Results in the source's order, reading at most `windowItems` ahead of the consumer. Leaving the loop, or the signal, drops
   * what was read ahead and ends the source; an error of the source comes after the results before it.
   */
  stream(
    source: AsyncIterable<T> | Iterable<T>,
    options: StreamOptions = {},
  ): AsyncIterable<PromiseSettledResult<R>> {
    checkKnown(options, ["windowItems", "signal", ...sharedNames]);
    const { deadlineMs, key, priority, signal, windowItems } = options;
    const { maxBatchSize, maxConcurrentBatches } = this.#engine.tunables;
    if (windowItems !== undefined) checkInteger("windowItems", windowItems, 1, 10_000_000);
    checkSignal(signal);
    checkSharedOptions(options);
    const iterable: unknown = source;
    if (!(Symbol.asyncIterator in Object(iterable)) && !(Symbol.iterator in Object(iterable)))
      throw new BatcherOptionError("source", "an iterable or an async iterable", source);
    return orderedStream<T, R>({
      source,
      signal,
      windowItems: windowItems ?? maxBatchSize * maxConcurrentBatches,
      deadlineMs,
      now: this.#engine.now,
      timers: this.#engine.timers,
      submit: (item, { resolve, reject }, context, deadlineAt) =>
        this.#engine.submit(item, this.#processor, resolve, reject, context, {
          deadlineAt,
          deadlineMs,
          key,
          priority,
        }),
      waitForRoom: (waiter, context) => this.#engine.waitForRoom(waiter, context, key),
    });
  }

  /** The last `historyLimit` calls, oldest first. */
  get performanceHistory(): readonly BatchRecord[] {
    return this.#engine.history.toArray();
  }

  /** Stops dispatching; running batches go on, and items are still accepted while there is room. */
  pause(): void {
    this.#engine.dispatcher.paused = true;
  }

  resume(): void {
    this.#engine.dispatcher.paused = false;
  }

  /**
   * Resolves when nothing is queued or running.
   * @throws BatcherPausedError if the batcher is paused with items queued, or comes to be so while this waits.
   * @throws BatcherReentryError inside of a processor, whose call it would wait for.
   */
  async drain(): Promise<void> {
    if (this.#engine.reentered) throw new BatcherReentryError();
    await this.#engine.whenDrained();
  }

  /**
   * Changes limits while running. Adaptive sizing goes on from what it has learned, within the new limits; to switch it off leads to
   * 100 x 4, or to the limits that the same change names.
   * @throws BatcherOptionError; nothing has changed then.
   */
  tune(changes: TunableOptions): void {
    this.#engine.tune(changes);
  }

  /**
   * Takes nothing more, rejects what is queued with `BatchClosedError`, lets running calls finish (within `batchTimeoutMs`) without
   * retries or splits, and resolves when they have; at once when it is called from inside of one of them.
   */
  async close(): Promise<void> {
    const { reentered } = this.#engine;
    this.#engine.close();
    if (!reentered) await this.#engine.whenIdle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  on<E extends keyof BatcherEvents>(event: E, listener: BatcherEvents[E]): this {
    checkListener(event, listener);
    this.#engine.events.on(event, listener);
    return this;
  }

  off<E extends keyof BatcherEvents>(event: E, listener: BatcherEvents[E]): this {
    checkListener(event, listener);
    this.#engine.events.off(event, listener);
    return this;
  }

  listenerCount(event: keyof BatcherEvents): number {
    return this.#engine.events.count(event);
  }

  stats(): BatcherStats {
    const { budget, closing, counters, dispatcher, now, sizing } = this.#engine;
    const limits = sizing.peek(now());
    return {
      queuedItems: dispatcher.queued,
      queuedBytes: dispatcher.queuedBytes,
      runningBatches: dispatcher.running,
      runningItems: dispatcher.runningItems,
      accepted: counters.accepted,
      deduplicated: counters.deduplicated,
      settled: { ...counters.settled },
      batches: { ...counters.batches },
      retries: counters.retries,
      splits: { ...counters.splits },
      overloads: counters.overloads,
      sizeLimit: limits.size,
      concurrencyLimit: limits.concurrency,
      lingerMs: limits.lingerMs,
      retryTokens: budget.tokens,
      state: closing ? "closed" : dispatcher.paused ? "paused" : "open",
      controllerErrors: sizing.errors,
      controller: sizing.controllerStats,
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return this.#families;
  }

  #overload(key: string | undefined): BatchOverloadError {
    const { counters, dispatcher, events, now, pace, tunables } = this.#engine;
    const { queued, queuedBytes } = dispatcher;
    const retryAfterMs = pace.drainMs(queued, now());
    counters.overloads += 1;
    events.emit("overload", () => ({ queuedItems: queued, queuedBytes, retryAfterMs }));
    const { queueKeyShare, queueLimit, queueMaxBytes } = tunables;
    const ofKey = key === undefined ? "" : `, of which a key may hold ${queueKeyShare}`;
    const limit =
      queued >= queueLimit || this.#engine.settings.sizeOf === undefined
        ? `queueLimit = ${queueLimit}${ofKey}`
        : `queueMaxBytes = ${queueMaxBytes}, queueLimit = ${queueLimit}${ofKey}`;
    return new BatchOverloadError(limit, queued, retryAfterMs);
  }
}
