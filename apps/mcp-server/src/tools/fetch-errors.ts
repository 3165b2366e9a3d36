import { McpAccelError } from "../errors.ts";

/** What `fetch_url` answers, with and without the pool. */

export function addressNotAllowed(host: string, cause?: unknown): McpAccelError {
  return new McpAccelError(
    "ADDRESS_NOT_ALLOWED",
    `${host} is not a public address. Start the server with --fetch-allow-private true to reach it.`,
    { cause },
  );
}

export function upstreamUnavailable(url: URL, cause: Error): McpAccelError {
  return new McpAccelError(
    "UPSTREAM_UNAVAILABLE",
    `Cannot reach ${url.origin}: ${cause.message}. Try again later, or another URL.`,
    { cause },
  );
}

export function badRedirect(url: URL, why: string, cause?: unknown): McpAccelError {
  return new McpAccelError("BAD_REDIRECT", `${url.origin}: ${why}. Give the URL of the page.`, {
    cause,
  });
}

/** Connected, but what came is no whole HTTP response. */
export function badAnswer(url: URL, cause: unknown): McpAccelError {
  const why = cause instanceof Error && cause.message !== "" ? cause.message : "it broke off";
  return new McpAccelError(
    "UPSTREAM_FAILED",
    `${url.origin} did not send a valid HTTP response: ${why}. Try again later, or another URL.`,
    { cause },
  );
}
