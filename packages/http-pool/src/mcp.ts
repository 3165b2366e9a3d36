import type { ConnectionPool } from "./connection-pool.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { PoolFetchInit } from "./fetch-request.ts";
import type { PoolAgent } from "./pool-agent.ts";
import type { UpstreamGroup } from "./upstream-group.ts";

export interface McpFetchOptions {
  /** How long a `tools/call` may take to answer; 0 switches it off. */
  readonly callTimeoutMs?: number;
  /** How long every other message may take to answer; the pool's `headersTimeoutMs` by default. */
  readonly requestTimeoutMs?: number;
  /**
   * Whether a tool only reads, or does no harm when it is called twice (its hints `readOnlyHint` and
   * `idempotentHint`): by name, or a function of the name. None by default.
   */
  readonly replayableTools?: Iterable<string> | ((toolName: string) => boolean);
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
/** What a server with sessions names them with, in its answer to `initialize`. */
const SESSION_HEADER = "mcp-session-id";
const CALL = "tools/call";
/** Answered with a stream that does not end, as a GET is. */
const LISTEN = "subscriptions/listen";

/**
 * A fetch for the `StreamableHTTPClientTransport` of either MCP SDK (its option `fetch`). Event streams that
 * the client listens to get connections of their own; messages that only read may be sent a second time when
 * their connection turns out to be dead, and to another upstream of a group; a `tools/call` only if its tool
 * is one of `replayableTools`. In a group, a session keeps to the upstream that began it.
 * @throws InvalidArgumentError
 */
export function mcpFetch(
  pool: ConnectionPool | PoolAgent | UpstreamGroup,
  options: McpFetchOptions = {},
): typeof fetch {
  const { callTimeoutMs = DEFAULT_CALL_TIMEOUT_MS, requestTimeoutMs } = options;
  checkTimeout("callTimeoutMs", callTimeoutMs);
  if (requestTimeoutMs !== undefined) checkTimeout("requestTimeoutMs", requestTimeoutMs);
  const usual = requestTimeoutMs === undefined ? {} : { headersTimeoutMs: requestTimeoutMs };
  const always = { affinityHeader: SESSION_HEADER, ...usual };
  const isReplayable = readTools(options.replayableTools ?? []);
  return (input, init) =>
    pool.fetch(input, { ...init, ...always, ...kindOf(init, callTimeoutMs, isReplayable) });
}

function kindOf(
  init: RequestInit | undefined,
  callTimeoutMs: number,
  isReplayable: (toolName: string) => boolean,
): PoolFetchInit {
  const method = init?.method?.toUpperCase() ?? "GET";
  if (method === "GET" && accepts(init?.headers, "text/event-stream")) return { lane: "stream" };
  if (method !== "POST" || typeof init?.body !== "string") return {};
  const messages = rpcMessages(init.body);
  const methods = messages.map(methodOf);
  if (methods.includes(LISTEN)) return { lane: "stream" };
  const mayRepeat = (message: unknown): boolean =>
    READS.has(methodOf(message)) || isReplayable(toolOf(message));
  return {
    idempotent: messages.length > 0 && messages.every(mayRepeat),
    safe: methods.every((name) => READS.has(name)),
    ...(methods.includes(CALL) && { headersTimeoutMs: callTimeoutMs }),
  };
}

/** The JSON-RPC messages of a body; none when it is anything else. */
function rpcMessages(body: string): readonly unknown[] {
  if (body.length > MAX_PARSED_LENGTH) return [];
  try {
    const message: unknown = JSON.parse(body);
    return Array.isArray(message) ? message : [message];
  } catch {
    return [];
  }
}

function methodOf(message: unknown): string {
  if (typeof message !== "object" || message === null || !("method" in message)) return "";
  return typeof message.method === "string" ? message.method : "";
}

/** Empty unless it is a call of a tool. */
function toolOf(message: unknown): string {
  if (methodOf(message) !== CALL) return "";
  const { params } = message as { params?: unknown };
  if (typeof params !== "object" || params === null || !("name" in params)) return "";
  return typeof params.name === "string" ? params.name : "";
}

function readTools(tools: unknown): (toolName: string) => boolean {
  if (typeof tools === "function") return (name) => name !== "" && holds(() => tools(name));
  if (typeof tools !== "object" || tools === null || !(Symbol.iterator in tools))
    throw new InvalidArgumentError("replayableTools", "names of tools or a function", tools);
  const names = new Set(tools as Iterable<string>);
  return (name) => name !== "" && names.has(name);
}

/** What throws does not say that a tool may be called twice. */
function holds(says: () => unknown): boolean {
  try {
    return says() === true;
  } catch {
    return false;
  }
}

function accepts(headers: RequestInit["headers"], type: string): boolean {
  return new Headers(headers).get("accept")?.includes(type) ?? false;
}

function checkTimeout(name: string, value: unknown): void {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError(name, "whole milliseconds >= 0", value);
}
