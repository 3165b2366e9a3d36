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
  const why = reasonOf(cause).replace(`${url.origin}: `, "");
  return new McpAccelError(
    "UPSTREAM_FAILED",
    `${url.origin} did not send a valid HTTP response: ${why}. Try again later, or another URL.`,
    { cause },
  );
}

/** Some of these messages are about the program that read the answer, and not about the answer. */
function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code?.startsWith("Z_") === true || code?.startsWith("ERR_") === true)
    return "its body cannot be decompressed";
  if (cause instanceof RangeError) return "its status is outside of 200 to 599";
  return message === "" ? "it broke off" : message;
}
