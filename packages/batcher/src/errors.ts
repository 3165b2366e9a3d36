/** Base of every error this package makes. `code` is stable; messages are for people and may change. */
export class BatcherError extends Error {
  override readonly name: string = "BatcherError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** `BATCHER_OPTION`: an option or argument is wrong; nothing has been started. */
export class BatcherOptionError extends BatcherError {
  override readonly name = "BatcherOptionError";
  readonly option: string;

  constructor(option: string, expected: string, received: unknown) {
    super("BATCHER_OPTION", `${option}: expected ${expected}, got ${describe(received)}`);
    this.option = option;
  }
}

/**
 * `BATCHER_ITEM_FAILED`: this item alone is to blame. A processor may put one in the place of an item's result; the batcher
 * makes one (with the processor's error as `cause`) for an item that also failed in a call of its own.
 */
export class BatchItemError extends BatcherError {
  override readonly name = "BatchItemError";

  constructor(message: string, options?: ErrorOptions) {
    super("BATCHER_ITEM_FAILED", message, options);
  }
}

/** `BATCHER_ITEM_TOO_LARGE`: one item is larger than the whole queue may hold. Waiting would not help. */
export class BatchItemTooLargeError extends BatcherError {
  override readonly name = "BatchItemTooLargeError";
  readonly itemBytes: number;

  constructor(itemBytes: number, queueMaxBytes: number) {
    super(
      "BATCHER_ITEM_TOO_LARGE",
      `an item of ${itemBytes} bytes can never enter a queue of queueMaxBytes = ${queueMaxBytes}; raise the limit or split the item`,
    );
    this.itemBytes = itemBytes;
  }
}

/** `BATCHER_OVERLOAD`: the queue is full. `retryAfterMs` is an estimate of when there is room, from recent throughput. */
export class BatchOverloadError extends BatcherError {
  override readonly name = "BatchOverloadError";
  readonly retryAfterMs: number;

  constructor(limit: string, queued: number, retryAfterMs: number) {
    super(
      "BATCHER_OVERLOAD",
      `the queue is full (${queued} queued, ${limit}); retry in about ${retryAfterMs} ms, or use processBatch or stream, which wait for room`,
    );
    this.retryAfterMs = retryAfterMs;
  }
}

/** `BATCHER_DEADLINE`: no answer within the item's `deadlineMs`. `dispatched` tells whether a processor had it already. */
export class BatchDeadlineError extends BatcherError {
  override readonly name = "BatchDeadlineError";
  readonly dispatched: boolean;

  constructor(deadlineMs: number, dispatched: boolean) {
    const where = dispatched
      ? "while its batch was running, so it may have taken effect"
      : "in the queue, so it was never dispatched";
    super(
      "BATCHER_DEADLINE",
      `the item's deadline of ${deadlineMs} ms could not be kept; it was dropped ${where}`,
    );
    this.dispatched = dispatched;
  }
}

/** `BATCHER_CONTRACT`: the processor did not return one result per item, each the item's own. */
export class BatchContractError extends BatcherError {
  override readonly name = "BatchContractError";

  constructor(expected: number, received: string, options?: ErrorOptions) {
    super(
      "BATCHER_CONTRACT",
      `the processor must resolve to an array of ${expected} results, one per item in order, but gave ${received}`,
      options,
    );
  }
}

/** `BATCHER_CLOSED`: the batcher was closed before the item was dispatched. */
export class BatchClosedError extends BatcherError {
  override readonly name = "BatchClosedError";

  constructor() {
    super("BATCHER_CLOSED", "the batcher is closed and the item was not dispatched");
  }
}

/** `BATCHER_TIMEOUT`: the processor did not settle within `batchTimeoutMs`; its signal was aborted and its late answer is ignored. */
export class BatchTimeoutError extends BatcherError {
  override readonly name = "BatchTimeoutError";

  constructor(size: number, batchTimeoutMs: number) {
    super(
      "BATCHER_TIMEOUT",
      `a batch of ${size} did not settle within batchTimeoutMs = ${batchTimeoutMs}; whether it took effect is unknown`,
    );
  }
}

/** `BATCHER_REENTRY`: `drain()` was called from inside a processor, and would wait for that very call. */
export class BatcherReentryError extends BatcherError {
  override readonly name = "BatcherReentryError";

  constructor() {
    super(
      "BATCHER_REENTRY",
      "drain() was called from inside a running batch, for which it would wait; call it outside of the processor",
    );
  }
}

/** `BATCHER_PAUSED`: `drain()` was called on a paused batcher with items queued, which could not end. */
export class BatcherPausedError extends BatcherError {
  override readonly name = "BatcherPausedError";

  constructor(queued: number) {
    super(
      "BATCHER_PAUSED",
      `drain() cannot finish: the batcher is paused with ${queued} items queued; call resume() first`,
    );
  }
}

/** A value in a message, short and without calling anything of it. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
}
