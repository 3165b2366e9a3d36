import { GlobalResponse } from "./builtin-fetch.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";

export interface PoolFetchInit extends RequestInit {
  /** `"stream"` for a response without an end: a connection beyond `maxConnections`. */
  readonly lane?: "request" | "stream";
  /** May be sent a second time when its connection turns out to be dead; by its method if not given. */
  readonly idempotent?: boolean;
  /** It only reads, so that it may be under way twice; by its method if not given. */
  readonly safe?: boolean;
  /** Header whose value keeps a session at one upstream of an `UpstreamGroup`; in lower case. */
  readonly affinityHeader?: string;
  /** 0 switches it off. */
  readonly headersTimeoutMs?: number;
  /** 0 switches it off. */
  readonly bodyTimeoutMs?: number;
}

export type FetchBody = string | Uint8Array | AsyncIterable<Uint8Array> | null;

export interface FetchRequest {
  readonly url: URL;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: FetchBody;
  readonly redirect: "follow" | "manual" | "error";
  readonly signal: AbortSignal | undefined;
  readonly settings: Omit<PoolDispatchOptions, "path" | "method">;
}

const DEFAULT_HEADERS = { accept: "*/*", "user-agent": "mcp-accel-http-pool" };
/** The fetch standard forbids them. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);
const NORMALIZED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

/**
 * What `fetch(input, init)` asks for.
 * @throws InvalidArgumentError
 */
export function readFetch(input: string | URL | Request, init: PoolFetchInit = {}): FetchRequest {
  const request = input instanceof Request ? input : undefined;
  const url = readUrl(request?.url ?? input);
  const method = normalizeMethod(init.method ?? request?.method ?? "GET");
  const given = init.body ?? (request?.body as RequestInit["body"]);
  if (given !== undefined && given !== null && (method === "GET" || method === "HEAD"))
    throw new InvalidArgumentError("body", `no body with ${method}`, `a ${typeof given}`);
  const { body, contentType } = encodeBody(given);
  const headers: Record<string, string> = { ...DEFAULT_HEADERS };
  if (contentType !== undefined) headers["content-type"] = contentType;
  if (request !== undefined && init.headers === undefined) readHeaders(request.headers, headers);
  else readHeaders(init.headers, headers);
  return {
    url,
    method,
    headers,
    body,
    redirect: init.redirect ?? request?.redirect ?? "follow",
    signal: init.signal ?? request?.signal ?? undefined,
    settings: readSettings(init),
  };
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

function normalizeMethod(method: string): string {
  const upper = method.toUpperCase();
  if (FORBIDDEN.has(upper))
    throw new InvalidArgumentError("method", "one that fetch may use", upper);
  return NORMALIZED.has(upper) ? upper : method;
}

function readHeaders(given: RequestInit["headers"], into: Record<string, string>): void {
  if (given === undefined) return;
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
  if (body instanceof Blob || body instanceof FormData || body instanceof ReadableStream) {
    const { body: stream, headers } = new GlobalResponse(body);
    const contentType = headers.get("content-type");
    return { body: stream as AsyncIterable<Uint8Array>, ...(contentType && { contentType }) };
  }
  if (typeof body === "object" && Symbol.asyncIterator in body)
    return { body: body as AsyncIterable<Uint8Array> };
  throw new InvalidArgumentError("body", "a body that fetch takes", body);
}

function readSettings(init: PoolFetchInit): FetchRequest["settings"] {
  const { lane, idempotent, safe, affinityHeader, headersTimeoutMs, bodyTimeoutMs } = init;
  return {
    ...(lane !== undefined && { lane }),
    ...(idempotent !== undefined && { idempotent }),
    ...(safe !== undefined && { safe }),
    ...(affinityHeader !== undefined && { affinityHeader }),
    ...(headersTimeoutMs !== undefined && { headersTimeout: headersTimeoutMs }),
    ...(bodyTimeoutMs !== undefined && { bodyTimeout: bodyTimeoutMs }),
  };
}
