import { BatchContractError, describe } from "./errors.ts";
import type { Job } from "./job.ts";
import type { ItemResult } from "./processor.ts";

/** Whether a value belongs to an item. */
export type Matches<T, R> = (item: T, value: R) => boolean;

/**
 * Holds what a processor resolved to against its contract: an array, one result per item, no holes, no promises, and each value
 * the item's own where `matches` can tell. Returns how many of the items failed. Only reads, and reads everything that
 * `settleAll` will read.
 * @throws BatchContractError, or what a result throws when it is read
 */
export function checkResults<T, R>(
  jobs: readonly Job<T, R>[],
  results: unknown,
  matches: Matches<T, R> | undefined,
): number {
  const expected = jobs.length;
  if (!Array.isArray(results) || results.length !== expected)
    throw new BatchContractError(expected, received(results));
  let failed = 0;
  for (let index = 0; index < expected; index++) {
    const result = results[index] as ItemResult<R>;
    if (result === undefined && !(index in results))
      throw new BatchContractError(expected, `an array with a hole at ${index}`);
    if (typeof result === "object" && result !== null) {
      if (isFailure(result)) {
        failed += 1;
        continue;
      }
      if (isPromise(result)) {
        silence(results);
        throw new BatchContractError(expected, `a promise at ${index}; await them all first`);
      }
    }
    if (matches === undefined) continue;
    const { item } = jobs[index] as Job<T, R>;
    if (!matches(item, valueOf(result)))
      throw new BatchContractError(expected, `a result at ${index} that is not that item's`);
  }
  return failed;
}

/** Gives each job its result. */
export function settleAll<T, R>(jobs: readonly Job<T, R>[], results: readonly unknown[]): void {
  let index = 0;
  for (const job of jobs) {
    const result = results[index++] as ItemResult<R>;
    try {
      if (typeof result !== "object" || result === null) job.fulfil(result);
      else if (result instanceof Error) job.reject(result);
      else if (isRejected(result)) job.reject(result.reason);
      else job.fulfil(valueOf(result));
    } catch (error) {
      // A getter that does not answer the same twice.
      job.reject(error);
    }
  }
}

function received(results: unknown): string {
  return Array.isArray(results) ? `${results.length} results` : describe(results);
}

function isFailure(result: object): boolean {
  return result instanceof Error || isRejected(result);
}

function isRejected(result: object): result is PromiseRejectedResult {
  return (result as { status?: unknown }).status === "rejected" && "reason" in result;
}

function valueOf<R>(result: ItemResult<R>): R {
  if (typeof result !== "object" || result === null) return result;
  const settled = result as PromiseFulfilledResult<R>;
  return settled.status === "fulfilled" && "value" in settled ? settled.value : (result as R);
}

function isPromise(result: object): boolean {
  return typeof (result as { then?: unknown }).then === "function";
}

/** Nobody will wait for them, so that nobody shall hear of them. */
function silence(results: readonly unknown[]): void {
  for (const result of results) if (result instanceof Promise) void result.catch(() => undefined);
}
