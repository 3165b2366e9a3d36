import type { Dispatcher } from "undici";
import { GlobalResponse } from "./builtin-fetch.ts";
import { InvalidArgumentError } from "./errors.ts";
import { timeout } from "./options.ts";
import type { PoolDispatchOptions, RequestLane } from "./prepare-dispatch.ts";
import { isSmallForm } from "./sized-body.ts";

/** Key of a function in `init` that wraps the handler of each request; for this package's own use. */
export const WRAP: unique symbol = Symbol("wrap");

type Wrap = (handler: Dispatcher.DispatchHandler) => Dispatcher.DispatchHandler;

export interface PoolFetchInit extends RequestInit {
  /**
   * `"stream"` for a response without an end: a connection beyond `maxConnections`. `"reply"` for a short message
   * for which requests under way may wait.
   */
  readonly lane?: RequestLane | undefined;
  /** May be sent a second time when its connection turns out to be dead; by its method if not given. */
  readonly idempotent?: boolean | undefined;
  /** It only reads, so that it may be under way twice; by its method if not given. */
  readonly safe?: boolean | undefined;
  /** Header whose value keeps a session at one upstream of an `UpstreamGroup`. */
  readonly affinityHeader?: string | undefined;
  /** Milliseconds; 0 switches it off, as for the others. */
  readonly headersTimeoutMs?: number | undefined;
  /** 0 switches it off. */
  readonly bodyTimeoutMs?: number | undefined;
  /** Silence in an event stream, comments not counted; without it, and with 0, it may last. */
  readonly eventTimeoutMs?: number | undefined;
  readonly [WRAP]?: Wrap;
}

/** A small form is a `Response` until it is read; a large blob is read anew each time that it is sent. */
export type FetchBody = string | Uint8Array | Blob | Response | AsyncIterable<Uint8Array> | null;

export interface FetchRequest {
  readonly url: URL;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: FetchBody;
  readonly redirect: "follow" | "manual" | "error";
  readonly signal: AbortSignal | undefined;
  readonly wrap: Wrap | undefined;
  readonly settings: Omit<PoolDispatchOptions, "path" | "method">;
}

const DEFAULT_HEADERS = { accept: "*/*", "user-agent": "mcp-accel-http-pool" };
const TIMEOUTS = ["headersTimeoutMs", "bodyTimeoutMs", "eventTimeoutMs"] as const;
/** The fetch standard forbids them. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);
const NORMALIZED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

/**
 * What `fetch(input, init)` asks for.
 * @throws InvalidArgumentError
 */
export function readFetch(input: string | URL | Request, given?: PoolFetchInit): FetchRequest {
  const init = given ?? {};
  const request = input instanceof Request ? input : undefined;
  refuse("dispatcher", Reflect.get(init, "dispatcher"), "none: a pool is the dispatcher itself");
  refuse("integrity", init.integrity ?? request?.integrity, "none: it is not checked here");
  const url = readUrl(request?.url ?? input);
  const method = normalizeMethod(init.method ?? request?.method ?? "GET");
  const source = init.body ?? (request?.body as RequestInit["body"]);
  if (source !== undefined && source !== null && (method === "GET" || method === "HEAD"))
    throw new InvalidArgumentError("body", `no body with ${method}`, `a ${typeof source}`);
  const { body, contentType } = encodeBody(source);
  const headers: Record<string, string> = { ...DEFAULT_HEADERS };
  if (contentType !== undefined) headers["content-type"] = contentType;
  if (request !== undefined && init.headers === undefined) readHeaders(request.headers, headers);
  else readHeaders(init.headers, headers);
  return {
    url,
    method,
    headers,
    body,
    redirect: readRedirect(init.redirect ?? request?.redirect ?? "follow"),
    signal: readSignal(init.signal === undefined ? request?.signal : init.signal),
    wrap: init[WRAP],
    settings: readSettings(init),
  };
}

/** What would change the answer is never left out in silence. */
function refuse(name: string, value: unknown, expected: string): void {
  if (value !== undefined && value !== null && value !== "")
    throw new InvalidArgumentError(name, expected, value);
}

function readRedirect(value: unknown): FetchRequest["redirect"] {
  if (value !== "follow" && value !== "manual" && value !== "error")
    throw new InvalidArgumentError("redirect", '"follow", "manual" or "error"', value);
  return value;
}

function readSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value === null) return undefined;
  // One of another realm, or of a library, will do.
  const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>;
  const listens =
    typeof addEventListener === "function" && typeof removeEventListener === "function";
  if (typeof aborted !== "boolean" || !listens)
    throw new InvalidArgumentError("signal", "an AbortSignal", value);
  return value as AbortSignal;
}

function readUrl(input: unknown): URL {
  const expected = "an absolute http: or https: URL without credentials";
  const url =
    typeof input === "string" || input instanceof URL ? URL.parse(String(input)) : undefined;
  // A URL may hold secrets, so that it is not repeated.
  if (url === undefined || url === null)
    throw new InvalidArgumentError("input", expected, typeof input);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidArgumentError("input", expected, url.protocol);
  if (url.username !== "" || url.password !== "")
    throw new InvalidArgumentError("input", expected, "credentials");
  return url;
}

function normalizeMethod(method: unknown): string {
  if (typeof method !== "string") throw new InvalidArgumentError("method", "a string", method);
  const upper = method.toUpperCase();
  if (FORBIDDEN.has(upper))
    throw new InvalidArgumentError("method", "one that fetch may use", upper);
  return NORMALIZED.has(upper) ? upper : method;
}

function readHeaders(given: RequestInit["headers"], into: Record<string, string>): void {
  if (given === undefined) return;
  // They may hold secrets, so that they are described by their kind only.
  if (typeof given !== "object" || given === null)
    throw new InvalidArgumentError("headers", "headers that fetch takes", `a ${typeof given}`);
  const own = new Set<string>();
  const pairs = Symbol.iterator in given ? given : Object.entries(given);
  for (const [name = "", value] of pairs as Iterable<readonly string[]>) {
    const key = name.toLowerCase();
    into[key] = own.has(key) ? `${into[key]}, ${value}` : String(value);
    own.add(key);
  }
}

function encodeBody(body: unknown): { body: FetchBody; contentType?: string } {
  if (body === undefined || body === null) return { body: null };
  if (typeof body === "string") return { body, contentType: "text/plain;charset=UTF-8" };
  if (body instanceof URLSearchParams) {
    const contentType = "application/x-www-form-urlencoded;charset=UTF-8";
    return { body: body.toString(), contentType };
  }
  // A copy, since the caller may use the memory again while the request waits.
  if (body instanceof ArrayBuffer) return { body: Buffer.from(new Uint8Array(body)) };
  if (ArrayBuffer.isView(body))
    return { body: Buffer.from(new Uint8Array(body.buffer, body.byteOffset, body.byteLength)) };
  if (body instanceof Blob) return { body, ...(body.type && { contentType: body.type }) };
  if (body instanceof FormData || body instanceof ReadableStream) {
    const response = new GlobalResponse(body);
    const contentType = response.headers.get("content-type");
    const isSmall = body instanceof FormData && isSmallForm(body);
    return {
      body: isSmall ? response : (response.body as AsyncIterable<Uint8Array>),
      ...(contentType && { contentType }),
    };
  }
  if (typeof body === "object" && Symbol.asyncIterator in body)
    return { body: body as AsyncIterable<Uint8Array> };
  throw new InvalidArgumentError("body", "a body that fetch takes", `a ${typeof body}`);
}

function readSettings(init: PoolFetchInit): FetchRequest["settings"] {
  for (const name of TIMEOUTS) if (init[name] !== undefined) timeout(name, init[name]);
  const { lane, idempotent, safe, affinityHeader, headersTimeoutMs } = init;
  const { bodyTimeoutMs, eventTimeoutMs } = init;
  return {
    ...(lane !== undefined && { lane }),
    ...(idempotent !== undefined && { idempotent }),
    ...(safe !== undefined && { safe }),
    ...(affinityHeader !== undefined && { affinityHeader }),
    ...(headersTimeoutMs !== undefined && { headersTimeout: headersTimeoutMs }),
    ...(bodyTimeoutMs !== undefined && { bodyTimeout: bodyTimeoutMs }),
    ...(eventTimeoutMs !== undefined && { eventTimeout: eventTimeoutMs }),
  };
}
