/** What a processor is told about its call. */
export interface ProcessorContext {
  /** Aborts at `batchTimeoutMs`, or when nobody waits for any item of the call any more. */
  readonly signal: AbortSignal;
  readonly batchId: number;
  /** 1 for the first call with this batch, one more for each retry or part of it. */
  readonly attempt: number;
  /** Reports that the first `done` items of the call are done, for `onProgress` of `processBatch`. */
  progress(done: number): void;
}

/**
 * In the place of one item: a value; an `Error` instance, which rejects that item with it; or a settled result
 * (`{ status: "fulfilled", value }`, `{ status: "rejected", reason }`), which is unwrapped.
 */
export type ItemResult<R> = R | PromiseSettledResult<R> | Error;

/** Handles a batch in one call: one result per item, in the items' order. Throwing or rejecting fails the whole call. */
export type Processor<T, R> = (
  items: readonly T[],
  context: ProcessorContext,
) => Promise<readonly ItemResult<R>[]>;
