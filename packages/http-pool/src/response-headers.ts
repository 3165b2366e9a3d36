import type { IncomingHttpHeaders } from "node:http";

/** Undici makes a list of what comes more than once; the types, and who relies on them, know one value. */
const SINGLE = ["content-type", "content-encoding", "retry-after"] as const;

/** The same headers; those that may come once only are joined when they came more often. */
export function singleHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const type: unknown = headers["content-type"];
  const coding: unknown = headers["content-encoding"];
  const retryAfter: unknown = headers["retry-after"];
  const isSingle =
    typeof type !== "object" && typeof coding !== "object" && typeof retryAfter !== "object";
  return isSingle ? headers : joined(headers);
}

function joined(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const single = { ...headers };
  for (const name of SINGLE) {
    const value: unknown = headers[name];
    if (Array.isArray(value)) single[name] = value.join(", ");
  }
  return single;
}
