import { BatchTimeoutError } from "./errors.ts";

/**
 * What a failed call means for its items. `too-large`: refused before any work, smaller calls may pass. `transient`: the same
 * call may pass later. `poison`: some item in it is bad. `fatal`: no other call would help.
 */
export type Verdict = "too-large" | "transient" | "poison" | "fatal";

export const verdicts: readonly Verdict[] = ["too-large", "transient", "poison", "fatal"];

const transientStatuses: ReadonlySet<unknown> = new Set([408, 425, 429, 502, 503, 504]);
const transientCodes: ReadonlySet<unknown> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "SQLITE_BUSY",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
]);
const fatalStatuses: ReadonlySet<unknown> = new Set([401, 403, 404, 405, 501]);

/** The default `classify`: by HTTP status (`status` or `statusCode`), by system error code, else `poison`. */
export function classifyError(error: unknown): Verdict {
  if (error instanceof BatchTimeoutError) return "transient";
  if (typeof error !== "object" || error === null) return "poison";
  const { status, statusCode, code, name } = error as Readonly<Record<string, unknown>>;
  const httpStatus = status ?? statusCode;
  if (httpStatus === 413) return "too-large";
  if (transientStatuses.has(httpStatus) || transientCodes.has(code)) return "transient";
  if (fatalStatuses.has(httpStatus) || name === "AbortError") return "fatal";
  return "poison";
}
