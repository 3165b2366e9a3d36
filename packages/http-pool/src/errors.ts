/** Base of every error of this package. `code` is stable; messages may change. */
export class HttpPoolError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option or argument has the wrong type or range. */
export class InvalidArgumentError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_INVALID_ARGUMENT";
  readonly argument: string;

  constructor(argument: string, expected: string, received: unknown) {
    super(
      "HTTP_POOL_INVALID_ARGUMENT",
      `${argument}: expected ${expected}, received ${describe(received)}`,
    );
    this.argument = argument;
  }
}

export interface UpstreamErrorDetails {
  /** The origin: no credentials, no path, no query. */
  readonly upstream: string;
  /** How often the request was given to a connection, or a connection was opened for it. */
  readonly attempts: number;
  readonly retryAfterMs: number;
}

/** The request was refused at once: everything is in use and the queue is full. Nothing was sent. */
export class PoolExhaustedError extends HttpPoolError implements UpstreamErrorDetails {
  declare readonly code: "HTTP_POOL_EXHAUSTED";
  readonly upstream: string;
  readonly attempts: number = 0;
  readonly retryAfterMs: number;

  constructor(upstream: string, what: string, retryAfterMs: number) {
    super(
      "HTTP_POOL_EXHAUSTED",
      `${upstream}: ${what}; retry after ${retryAfterMs} ms, shed load or raise the limit`,
    );
    this.upstream = upstream;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No connection became free before the deadline. Nothing of this attempt was sent. */
export class QueueTimeoutError extends HttpPoolError implements UpstreamErrorDetails {
  declare readonly code: "HTTP_POOL_QUEUE_TIMEOUT";
  readonly upstream: string;
  readonly attempts: number;
  readonly retryAfterMs: number;
  readonly queueTimeoutMs: number;

  constructor(details: UpstreamErrorDetails, queueTimeoutMs: number) {
    super(
      "HTTP_POOL_QUEUE_TIMEOUT",
      `${details.upstream}: no connection became free within ${queueTimeoutMs} ms; retry after ${details.retryAfterMs} ms or raise maxConnections`,
    );
    this.upstream = details.upstream;
    this.attempts = details.attempts;
    this.retryAfterMs = details.retryAfterMs;
    this.queueTimeoutMs = queueTimeoutMs;
  }
}

/** What an `UpstreamGroup` adds. */
export interface GroupErrorDetails extends UpstreamErrorDetails {
  /** The origins that were tried, or would have been. */
  readonly upstreams: readonly string[];
}

/**
 * No connection to the upstream could be opened, to none of a group's that were tried; `cause` says why.
 * Nothing was sent.
 */
export class UpstreamUnavailableError extends HttpPoolError implements GroupErrorDetails {
  declare readonly code: "HTTP_POOL_UPSTREAM_UNAVAILABLE";
  readonly upstream: string;
  readonly upstreams: readonly string[];
  readonly attempts: number;
  readonly retryAfterMs: number;

  constructor(details: UpstreamErrorDetails | GroupErrorDetails, cause: unknown) {
    super(
      "HTTP_POOL_UPSTREAM_UNAVAILABLE",
      `${details.upstream}: no connection could be opened (${reasonOf(cause)}); retry after ${details.retryAfterMs} ms`,
      { cause },
    );
    this.upstream = details.upstream;
    this.upstreams = "upstreams" in details ? details.upstreams : [details.upstream];
    this.attempts = details.attempts;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Every upstream that the request may go to failed too often lately. Nothing was sent. */
export class CircuitOpenError extends HttpPoolError implements GroupErrorDetails {
  declare readonly code: "HTTP_POOL_CIRCUIT_OPEN";
  readonly upstream: string;
  readonly upstreams: readonly string[];
  readonly attempts: number;
  readonly retryAfterMs: number;

  constructor(details: GroupErrorDetails) {
    super(
      "HTTP_POOL_CIRCUIT_OPEN",
      `${details.upstream}: failed too often lately, so that nothing is sent; retry after ${details.retryAfterMs} ms`,
    );
    this.upstream = details.upstream;
    this.upstreams = details.upstreams;
    this.attempts = details.attempts;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The upstream resolves only to addresses that `allowAddress` refuses; `cause` is what it threw. Nothing was sent. */
export class AddressNotAllowedError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_ADDRESS_NOT_ALLOWED";
  readonly upstream: string;

  constructor(upstream: string, cause?: unknown) {
    super(
      "HTTP_POOL_ADDRESS_NOT_ALLOWED",
      `${upstream}: its address is refused by allowAddress; use another URL or change the guard`,
      ...(cause === undefined ? [] : [{ cause }]),
    );
    this.upstream = upstream;
  }
}

/** The pool is closed or was destroyed. */
export class PoolClosedError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_CLOSED";
  readonly upstream: string;

  constructor(upstream: string) {
    super("HTTP_POOL_CLOSED", `${upstream}: the pool is closed; create a new one`);
    this.upstream = upstream;
  }
}

/** Nothing of a response body came for `bodyTimeoutMs`. */
export class BodyTimeoutError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_BODY_TIMEOUT";
  readonly upstream: string;
  readonly bodyTimeoutMs: number;

  constructor(upstream: string, bodyTimeoutMs: number) {
    super(
      "HTTP_POOL_BODY_TIMEOUT",
      `${upstream}: nothing of a response body came for ${bodyTimeoutMs} ms; try again or raise bodyTimeoutMs`,
    );
    this.upstream = upstream;
    this.bodyTimeoutMs = bodyTimeoutMs;
  }
}

/** A request body that is a stream gave nothing for `bodyTimeoutMs`. Part of the request was sent. */
export class RequestBodyTimeoutError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_REQUEST_BODY_TIMEOUT";
  readonly upstream: string;
  readonly bodyTimeoutMs: number;

  constructor(upstream: string, bodyTimeoutMs: number) {
    super(
      "HTTP_POOL_REQUEST_BODY_TIMEOUT",
      `${upstream}: nothing of the request's own body went out for ${bodyTimeoutMs} ms; give it an end or raise bodyTimeoutMs`,
    );
    this.upstream = upstream;
    this.bodyTimeoutMs = bodyTimeoutMs;
  }
}

/** A response was paused, because nobody read its body, for longer than `bodyTimeoutMs`. */
export class BodyNotReadError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_BODY_NOT_READ";
  readonly upstream: string;
  readonly bodyTimeoutMs: number;

  constructor(upstream: string, bodyTimeoutMs: number) {
    super(
      "HTTP_POOL_BODY_NOT_READ",
      `${upstream}: a response body was not read for ${bodyTimeoutMs} ms; read it to its end or cancel it`,
    );
    this.upstream = upstream;
    this.bodyTimeoutMs = bodyTimeoutMs;
  }
}

/** What came is not HTTP. The connection is closed, and the request may have been executed. */
export class InvalidResponseError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_INVALID_RESPONSE";
  readonly upstream: string;

  constructor(upstream: string, reason: string) {
    super("HTTP_POOL_INVALID_RESPONSE", `${upstream}: ${reason}; ask whoever runs the upstream`);
    this.upstream = upstream;
  }
}

/** A redirect could not be followed: too many, another protocol, or a body that cannot be sent again. */
export class RedirectError extends HttpPoolError {
  declare readonly code: "HTTP_POOL_REDIRECT";
  readonly upstream: string;

  constructor(upstream: string, reason: string) {
    super("HTTP_POOL_REDIRECT", `${upstream}: ${reason}`);
    this.upstream = upstream;
  }
}

/** For a `switch` over `code`. */
export type AnyHttpPoolError =
  | InvalidArgumentError
  | PoolExhaustedError
  | QueueTimeoutError
  | UpstreamUnavailableError
  | CircuitOpenError
  | AddressNotAllowedError
  | PoolClosedError
  | BodyTimeoutError
  | RequestBodyTimeoutError
  | BodyNotReadError
  | InvalidResponseError
  | RedirectError;

/** What a request is told when no connection could be opened for it. */
export function openError(details: UpstreamErrorDetails, cause: unknown): HttpPoolError {
  if (cause instanceof HttpPoolError) return cause;
  return new UpstreamUnavailableError(details, cause);
}

/**
 * Undici's error for what is not HTTP has no code, and holds the bytes that came: they may be secret. Its own
 * time-out of a body, which a request can ask for, is the same as the pool's.
 */
export function responseError(upstream: string, error: Error, bodyTimeoutMs: number): Error {
  if (error.name === "HTTPParserError") return new InvalidResponseError(upstream, error.message);
  const isTimeout = "code" in error && error.code === "UND_ERR_BODY_TIMEOUT";
  return isTimeout ? new BodyTimeoutError(upstream, bodyTimeoutMs) : error;
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name})`;
  return typeof value === "function" ? "a function" : String(value);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "unknown reason";
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}
