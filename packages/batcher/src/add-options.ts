import { BatcherOptionError } from "./errors.ts";
import { checkInteger, checkNumber, checkSignal } from "./options.ts";
import { maxDelayMs } from "./timers.ts";

/** What each item of a `processBatch` or a `stream` may have as well. */
export interface SharedOptions {
  /** An integer from -100 to 100; higher goes first. */
  readonly priority?: number | undefined;
  /** The answer must be there within this time. */
  readonly deadlineMs?: number | undefined;
  /**
   * Items of different keys take turns within their priority, so that one busy key cannot crowd out the others, and each may hold no
   * more than `queueKeyShare` of the queue.
   */
  readonly key?: string | undefined;
}

export interface AddOptions extends SharedOptions {
  /** Items of the same `dedupeKey` are one: who comes while it is queued or running, or `dedupeWindowMs` after, shares it. */
  readonly dedupeKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws BatcherOptionError */
export function checkAddOptions(options: AddOptions): void {
  if (typeof options !== "object" || options === null)
    throw new BatcherOptionError("options", "an object", options);
  for (const name in options) {
    const value: unknown = options[name as keyof AddOptions];
    if (value !== undefined) checkAddOption(name, value);
  }
}

/** Of several items that are given together. @throws BatcherOptionError */
export function checkSharedOptions(options: SharedOptions): void {
  for (const name of ["priority", "deadlineMs", "key"] as const) {
    const value = options[name];
    if (value !== undefined) checkAddOption(name, value);
  }
}

function checkAddOption(name: string, value: unknown): void {
  switch (name) {
    case "priority":
      return checkInteger(name, value, -100, 100);
    case "deadlineMs":
      return checkNumber(name, value, 0, maxDelayMs);
    case "key":
    case "dedupeKey":
      if (typeof value !== "string") throw new BatcherOptionError(name, "a string", value);
      return;
    case "signal":
      return checkSignal(value);
    default:
      throw new BatcherOptionError(
        name,
        "one of priority, deadlineMs, key, dedupeKey, signal",
        "an unknown option",
      );
  }
}
