import { DestinationClosedError, DrainTimeoutError, MemoryLimitError } from "./errors.ts";

/** The reason to close a session with, after a stream of it failed. */
export function failureReason(error: unknown): string {
  if (error instanceof MemoryLimitError) return "limit";
  const destination = error instanceof DestinationClosedError || error instanceof DrainTimeoutError;
  return destination ? "destination" : "source";
}
