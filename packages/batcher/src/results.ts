import { types } from "node:util";
import { BatchContractError, describe } from "./errors.ts";
import type { Job } from "./job.ts";
import type { ItemResult } from "./processor.ts";

/** Whether a value belongs to an item. */
export type Matches<T, R> = (item: T, value: R) => boolean;

/** What a processor gave, read once: nothing that it does to its array later changes it. */
export interface CheckedResults {
  /** By the item's place in the call. */
  readonly values: readonly unknown[];
  /** Reasons by place, of the items that failed. */
  readonly failures: ReadonlyMap<number, unknown> | undefined;
}

/**
 * Holds what a processor resolved to against its contract: an array, one result per item, no holes, no promises, and each value
 * the item's own where `matches` can tell.
 * @throws BatchContractError, or what a result throws when it is read
 */
export function checkResults<T, R>(
  jobs: readonly Job<T, R>[],
  results: unknown,
  matches: Matches<T, R> | undefined,
): CheckedResults {
  const expected = jobs.length;
  if (!Array.isArray(results) || results.length !== expected)
    throw new BatchContractError(expected, received(results));
  const values: unknown[] = [];
  let failures: Map<number, unknown> | undefined;
  for (let index = 0; index < expected; index++) {
    const result = results[index] as ItemResult<R>;
    if (result === undefined && !(index in results))
      throw new BatchContractError(expected, `an array with a hole at ${index}`);
    const reason = failureOf(result);
    if (reason !== undefined) {
      (failures ??= new Map()).set(index, reason.reason);
      values.push(undefined);
      continue;
    }
    const value = valueOf(result);
    if (isThenable(value))
      throw new BatchContractError(expected, `a promise at ${index}; await them all first`);
    values.push(value);
    if (matches === undefined) continue;
    const { item } = jobs[index] as Job<T, R>;
    if (!matches(item, value as R))
      throw new BatchContractError(expected, `a result at ${index} that is not that item's`);
  }
  return { values, failures };
}

/** Gives each job its result. */
export function settleAll<T, R>(
  jobs: readonly Job<T, R>[],
  { values, failures }: CheckedResults,
): void {
  let index = 0;
  for (const job of jobs) {
    if (failures?.has(index) === true) job.reject(failures.get(index));
    else job.fulfil(values[index] as R);
    index += 1;
  }
}

/** Promises among results that nobody will wait for: nobody shall hear of their rejections either. */
export function silence(results: unknown): void {
  if (types.isProxy(results) || !Array.isArray(results)) return;
  for (const result of results as unknown[]) {
    hush(result);
    if (typeof result === "object" && result !== null) hush(own(result, "value"));
  }
}

/** Calls nothing of the object's. */
function own(result: object, name: string): unknown {
  return types.isProxy(result) ? undefined : Object.getOwnPropertyDescriptor(result, name)?.value;
}

function hush(value: unknown): void {
  if (types.isPromise(value)) void value.catch(() => undefined);
}

function received(results: unknown): string {
  return Array.isArray(results) ? `${results.length} results` : describe(results);
}

function failureOf(result: unknown): { readonly reason: unknown } | undefined {
  if (typeof result !== "object" || result === null) return undefined;
  if (result instanceof Error) return { reason: result };
  return isSettled(result, "rejected", "reason") ? { reason: result["reason"] } : undefined;
}

function valueOf(result: unknown): unknown {
  if (typeof result !== "object" || result === null) return result;
  return isSettled(result, "fulfilled", "value") ? result["value"] : result;
}

/** Only with these two properties and no others: a row of the user's may well have a `status` and a `value`. */
function isSettled<K extends string>(
  result: object,
  status: string,
  content: K,
): result is Record<K, unknown> {
  return (
    (result as { readonly status?: unknown }).status === status &&
    content in result &&
    Object.keys(result).length === 2
  );
}

function isThenable(value: unknown): boolean {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}
