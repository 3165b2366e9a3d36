import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { isPlainBody } from "./request-body.ts";

/** Methods that may be sent twice: RFC 9110 section 9.2.2, and the safe QUERY. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

/** Methods that only read: RFC 9110 section 9.2.1, and QUERY. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "QUERY"]);

/** Whether sending it a second time is possible, and does no harm. */
export function isReplayable({ body, idempotent, method }: PoolDispatchOptions): boolean {
  return isPlainBody(body) && (idempotent ?? IDEMPOTENT.has(method));
}

/** Whether it may be under way twice at once, besides: two writes of the same may meet each other half-way. */
export function isSafe(options: PoolDispatchOptions): boolean {
  return isReplayable(options) && (options.safe ?? SAFE.has(options.method));
}
