import { types } from "node:util";
import { describe } from "./errors.ts";

/** What was thrown, in words. Never throws, whatever it is: a revoked proxy, an object without a prototype. */
export function textOf(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  try {
    return thrown instanceof Error ? thrown.message : describe(thrown);
  } catch {
    return "a value that cannot be read";
  }
}

/** Calls what others gave us and makes a process warning of what it throws, at once or as a promise. */
export function callSafely(call: () => unknown): void {
  try {
    const result = call();
    if (types.isPromise(result)) void result.catch(warn);
  } catch (error) {
    warn(error);
  }
}

function warn(thrown: unknown): void {
  process.emitWarning(types.isNativeError(thrown) ? thrown : textOf(thrown));
}
