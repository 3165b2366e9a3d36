import type { IncomingHttpHeaders } from "node:http";

/** Undici makes a list of what comes more than once; the types, and who relies on them, know one value. */
const SINGLE = ["content-type", "content-encoding", "retry-after"] as const;

/** The same headers; those that may come once only are joined when they came more often. */
export function singleHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  let single = headers;
  for (const name of SINGLE) {
    const value: unknown = headers[name];
    if (Array.isArray(value)) single = { ...single, [name]: value.join(", ") };
  }
  return single;
}
