import type { IncomingHttpHeaders } from "node:http";

/** How long a `Retry-After` header asks to wait, in ms: seconds or an HTTP date (RFC 9110, section 10.2.3). */
export function retryAfterMsOf(
  headers: IncomingHttpHeaders,
  wallNow: () => number = Date.now,
): number | undefined {
  const value = headers["retry-after"]?.trim();
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallNow());
}
