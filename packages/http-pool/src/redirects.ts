import { RedirectError } from "./errors.ts";
import type { FetchRequest } from "./fetch-request.ts";

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Say nothing of who asks. Any other may be a credential, and is meant for no other origin. */
const PUBLIC_HEADERS = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "mcp-protocol-version",
  "pragma",
  "prefer",
  "range",
  "traceparent",
  "tracestate",
  "user-agent",
]);
const PUBLIC_PREFIX = /^(content|if)-/;
const BODY_HEADERS = /^content-/;

/** Where a response sends the request on to, if it does. */
export function redirectTarget(response: Response): string | undefined {
  if (!REDIRECTS.has(response.status)) return undefined;
  return response.headers.get("location") ?? undefined;
}

/**
 * The request that follows a redirect, after the fetch standard (HTTP-redirect fetch).
 * @throws RedirectError
 */
export function redirected(request: FetchRequest, status: number, location: string): FetchRequest {
  const upstream = request.url.origin;
  const url = URL.parse(location, request.url.href);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new RedirectError(upstream, "its redirect does not lead to an http: or https: URL");
  if (url.username !== "" || url.password !== "")
    throw new RedirectError(upstream, "its redirect leads to a URL with credentials");
  const headers = { ...request.headers };
  if (url.origin !== upstream) {
    for (const name of Object.keys(headers))
      if (!PUBLIC_HEADERS.has(name) && !PUBLIC_PREFIX.test(name)) delete headers[name];
  }
  if (becomesGet(request.method, status)) {
    for (const name of Object.keys(headers)) if (BODY_HEADERS.test(name)) delete headers[name];
    return { ...request, url, method: "GET", headers, body: null };
  }
  if (!repeatable(request.body))
    throw new RedirectError(upstream, `its redirect ${status} needs the body again, a stream`);
  return { ...request, url, headers };
}

function becomesGet(method: string, status: number): boolean {
  if (status === 303) return method !== "GET" && method !== "HEAD";
  return (status === 301 || status === 302) && method === "POST";
}

function repeatable(body: FetchRequest["body"]): boolean {
  return (
    body === null || typeof body === "string" || body instanceof Uint8Array || body instanceof Blob
  );
}
