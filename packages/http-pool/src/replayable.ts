import type { PoolDispatchOptions } from "./prepare-dispatch.ts";

/** Methods that may be sent twice: RFC 9110 section 9.2.2, and the safe QUERY. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

/** Whether sending it a second time is possible, and does no harm. */
export function isReplayable({ body, idempotent, method }: PoolDispatchOptions): boolean {
  const plainBody =
    body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array;
  return plainBody && (idempotent ?? IDEMPOTENT.has(method));
}
