import type { ConnectionPool } from "./connection-pool.ts";
import { GlobalResponse } from "./builtin-fetch.ts";
import { InvalidArgumentError } from "./errors.ts";
import { WRAP } from "./fetch-request.ts";
import type { PoolFetchInit } from "./fetch-request.ts";
import { McpCalls } from "./mcp-calls.ts";
import type { McpScope } from "./mcp-calls.ts";
import { CALL, readPost } from "./mcp-message.ts";
import type { McpPost } from "./mcp-message.ts";
import { optionalObject, refuseUnknown, timeout } from "./options.ts";
import type { PoolAgent } from "./pool-agent.ts";
import type { UpstreamGroup } from "./upstream-group.ts";

export interface McpFetchOptions {
  /** How long a `tools/call` may take to answer, and be silent while it answers with events; 0 switches it off. */
  readonly callTimeoutMs?: number | undefined;
  /**
   * How long every other message may take to answer, the pool's `headersTimeoutMs` by default, and be silent while it
   * answers with events, `callTimeoutMs` by default; 0 switches both off.
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Whether a tool only reads, or does no harm when it is called twice (its hints `readOnlyHint` and
   * `idempotentHint`): by name, or a function of the name. None by default.
   */
  readonly replayableTools?: (Iterable<string> | ((toolName: string) => boolean)) | undefined;
}

const DEFAULT_CALL_TIMEOUT_MS = 300_000;
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
  optionalObject("options", options);
  const { callTimeoutMs = DEFAULT_CALL_TIMEOUT_MS, requestTimeoutMs, replayableTools } = options;
  refuseUnknown("", options, { callTimeoutMs, requestTimeoutMs, replayableTools });
  timeout("callTimeoutMs", callTimeoutMs);
  if (requestTimeoutMs !== undefined) timeout("requestTimeoutMs", requestTimeoutMs);
  const usual = requestTimeoutMs === undefined ? {} : { headersTimeoutMs: requestTimeoutMs };
  const always = { affinityHeader: SESSION_HEADER, ...usual };
  const isReplayable = readTools(replayableTools ?? []);
  const calls = new McpCalls();
  const otherTimeoutMs = requestTimeoutMs ?? callTimeoutMs;
  const settingsOf = (post: McpPost): PoolFetchInit => {
    if (post.methods.includes(LISTEN)) return { lane: "stream" };
    const isCall = post.methods.includes(CALL);
    return {
      ...(post.repliesOnly && { lane: "reply" }),
      idempotent: mayRepeat(post, isReplayable),
      safe: post.methods.every((name) => READS.has(name)),
      eventTimeoutMs: isCall ? callTimeoutMs : otherTimeoutMs,
      ...(isCall && { headersTimeoutMs: callTimeoutMs }),
    };
  };
  return (input, init) => {
    const method = init?.method?.toUpperCase() ?? "GET";
    if (method === "GET" && accepts(init?.headers, "text/event-stream")) {
      if (isResumption(calls, init?.headers)) return Promise.resolve(notOffered());
      return pool.fetch(input, { ...init, ...always, lane: "stream" });
    }
    if (method !== "POST" || typeof init?.body !== "string")
      return pool.fetch(input, { ...init, ...always });
    const post = readPost(init.body);
    const scope = scopeOf(init);
    const watched = post.requestIds.length > 0 && {
      [WRAP]: calls.watch(scope, post.requestIds),
    };
    const answer = pool.fetch(input, { ...init, ...always, ...settingsOf(post), ...watched });
    if (post.cancelled.length === 0) return answer;
    // The server hears of it first; whether it does or not, the client has given the request up.
    const end = (): void => {
      for (const id of post.cancelled) calls.cancel(scope, id);
    };
    answer.then(end, end);
    return answer;
  };
}

function mayRepeat(post: McpPost, isReplayable: (toolName: string) => boolean): boolean {
  const { complete, methods, tools } = post;
  if (!complete || methods.length === 0 || !tools.every(isReplayable)) return false;
  return methods.every((method) => method === CALL || READS.has(method));
}

function scopeOf({ headers, signal }: RequestInit): McpScope {
  return { session: headerOf(headers, SESSION_HEADER) ?? "", signal: signal ?? undefined };
}

/** A client that resumes the stream of a request which it cancelled would wait there for nothing. */
function isResumption(calls: McpCalls, headers: RequestInit["headers"]): boolean {
  const eventId = headerOf(headers, "last-event-id");
  return eventId !== null && calls.isAbandoned(headerOf(headers, SESSION_HEADER) ?? "", eventId);
}

/** What a server says that has no stream to go on with. */
function notOffered(): Response {
  return new GlobalResponse(null, { status: 405 });
}

function headerOf(headers: RequestInit["headers"], name: string): string | null {
  return (headers instanceof Headers ? headers : new Headers(headers)).get(name);
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
  return headerOf(headers, "accept")?.includes(type) ?? false;
}
