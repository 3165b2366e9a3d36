import { z } from "zod";

export interface PublicError {
  readonly code: string;
  readonly message: string;
  /** When another try is worth it; absent when nobody knows. */
  readonly retryAfterMs?: number | undefined;
}

/** The same as a part of a result. */
export const publicErrorShape = z.object({
  code: z.string(),
  message: z.string(),
  retryAfterMs: z.number().optional(),
});

/** What a caller may see of an error: coded errors as they are, SQLite's own message, and nothing of the rest. */
export function publicError(error: unknown): PublicError {
  if (!(error instanceof Error)) return unknownError;
  const { code, message, name, retryAfterMs } = error as NodeJS.ErrnoException & Retryable;
  if (code === "ERR_SQLITE_ERROR")
    return { code: "STORE_FAILED", message: `The database refused: ${message}.` };
  if (name === "TimeoutError")
    return { code: "TIMEOUT", message: "It took longer than it may; nothing came back in time." };
  if (name === "AbortError") return { code: "CANCELLED", message: "The call was cancelled." };
  if (
    typeof code === "string" &&
    /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(code) &&
    !code.startsWith("ERR_")
  )
    return typeof retryAfterMs === "number" ? { code, message, retryAfterMs } : { code, message };
  return unknownError;
}

interface Retryable {
  readonly retryAfterMs?: unknown;
}

/** True for an error that nobody foresaw: it is logged, the caller only learns that it happened. */
export function isUnforeseen(error: unknown): boolean {
  return publicError(error) === unknownError;
}

const unknownError: PublicError = {
  code: "INTERNAL_ERROR",
  message: "The server failed unexpectedly; its log has the details.",
};
