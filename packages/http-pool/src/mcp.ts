import type { ConnectionPool } from "./connection-pool.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { PoolFetchInit } from "./fetch-request.ts";
import type { PoolAgent } from "./pool-agent.ts";

export interface McpFetchOptions {
  /** How long a `tools/call` may take to answer; 0 switches it off. */
  readonly callTimeoutMs?: number;
  /** How long every other message may take to answer; the pool's `headersTimeoutMs` by default. */
  readonly requestTimeoutMs?: number;
}

const DEFAULT_CALL_TIMEOUT_MS = 300_000;
/** Larger bodies are not looked into, and so not sent a second time. */
const MAX_PARSED_LENGTH = 64 * 1024;
/** Messages that only read. */
const READS = new Set([
  "ping",
  "prompts/get",
  "prompts/list",
  "resources/list",
  "resources/read",
  "resources/templates/list",
  "server/discover",
  "tools/list",
]);
/** Answered with a stream that does not end, as a GET is. */
const LISTEN = "subscriptions/listen";

/**
 * A fetch for the `StreamableHTTPClientTransport` of either MCP SDK (its option `fetch`). Event streams that
 * the client listens to get connections of their own; messages that only read may be sent a second time when
 * their connection turns out to be dead; a `tools/call` never is.
 * @throws InvalidArgumentError
 */
export function mcpFetch(
  pool: ConnectionPool | PoolAgent,
  options: McpFetchOptions = {},
): typeof fetch {
  const { callTimeoutMs = DEFAULT_CALL_TIMEOUT_MS, requestTimeoutMs } = options;
  checkTimeout("callTimeoutMs", callTimeoutMs);
  if (requestTimeoutMs !== undefined) checkTimeout("requestTimeoutMs", requestTimeoutMs);
  const usual = requestTimeoutMs === undefined ? {} : { headersTimeoutMs: requestTimeoutMs };
  return (input, init) => pool.fetch(input, { ...init, ...usual, ...kindOf(init, callTimeoutMs) });
}

function kindOf(init: RequestInit | undefined, callTimeoutMs: number): PoolFetchInit {
  const method = init?.method?.toUpperCase() ?? "GET";
  if (method === "GET" && accepts(init?.headers, "text/event-stream")) return { lane: "stream" };
  if (method !== "POST" || typeof init?.body !== "string") return {};
  const methods = rpcMethods(init.body);
  if (methods.includes(LISTEN)) return { lane: "stream" };
  return {
    idempotent: methods.length > 0 && methods.every((name) => READS.has(name)),
    ...(methods.includes("tools/call") && { headersTimeoutMs: callTimeoutMs }),
  };
}

/** The JSON-RPC methods of a message or a batch; none when it is anything else. */
function rpcMethods(body: string): string[] {
  if (body.length > MAX_PARSED_LENGTH) return [];
  try {
    const message: unknown = JSON.parse(body);
    return (Array.isArray(message) ? message : [message]).map(methodOf);
  } catch {
    return [];
  }
}

function methodOf(message: unknown): string {
  if (typeof message !== "object" || message === null || !("method" in message)) return "";
  return typeof message.method === "string" ? message.method : "";
}

function accepts(headers: RequestInit["headers"], type: string): boolean {
  return new Headers(headers).get("accept")?.includes(type) ?? false;
}

function checkTimeout(name: string, value: unknown): void {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError(name, "whole milliseconds >= 0", value);
}
