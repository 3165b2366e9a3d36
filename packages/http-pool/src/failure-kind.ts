import {
  AddressNotAllowedError,
  BodyTimeoutError,
  PoolExhaustedError,
  QueueTimeoutError,
  UpstreamUnavailableError,
} from "./errors.ts";
import { NotWrittenError } from "./connection.ts";

/** What an upstream did wrong. */
export type FailureKind =
  /** No connection could be opened. */
  | "connect"
  /** The connection broke, or what came was not HTTP. */
  | "reset"
  /** The answer, or the rest of it, did not come in time. */
  | "timeout"
  /** The status was 500 or greater. */
  | "status"
  /** Nothing at all was heard for much longer than usual. */
  | "hang";

const TIMEOUTS = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT"]);
const RESETS = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EPIPE",
  "HTTP_POOL_INVALID_RESPONSE",
  "UND_ERR_HEADERS_OVERFLOW",
  "UND_ERR_HTTP_PARSER",
  // An HTTP/2 session or stream that its server ended.
  "UND_ERR_INFO",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RES_EXCEEDED_MAX_SIZE",
  "UND_ERR_SOCKET",
]);

/** Undefined when the upstream is not to blame: the caller's abort, a wrong argument, a full queue. */
export function failureKind(error: Error): FailureKind | undefined {
  if (error instanceof UpstreamUnavailableError || error instanceof AddressNotAllowedError)
    return "connect";
  if (error instanceof BodyTimeoutError) return "timeout";
  if (error instanceof NotWrittenError) return "reset";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (TIMEOUTS.has(code)) return "timeout";
  if (code.startsWith("HPE_") || code.startsWith("ERR_HTTP2_")) return "reset";
  return RESETS.has(code) ? "reset" : undefined;
}

/** Nothing of the request was sent, nor was its body read, so that any request can go elsewhere. */
export function isUnsent(error: Error): boolean {
  return (
    error instanceof UpstreamUnavailableError ||
    error instanceof AddressNotAllowedError ||
    error instanceof PoolExhaustedError ||
    error instanceof QueueTimeoutError
  );
}
