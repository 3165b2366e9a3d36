/** Base of every error of this package. `code` is stable; messages may change. */
export class StreamGuardError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option or argument has the wrong type or range. */
export class InvalidArgumentError extends StreamGuardError {
  readonly argument: string;

  constructor(argument: string, expected: string, received: unknown) {
    super(
      "STREAM_GUARD_INVALID_ARGUMENT",
      `${argument}: expected ${expected}, received ${describe(received)}`,
    );
    this.argument = argument;
  }
}

/** Whose budget refused: the session's own, its principal's, or the guard's total. */
export type LimitScope = "session" | "principal" | "guard";

export interface MemoryLimitDetails {
  readonly scope: LimitScope;
  readonly sessionId: string;
  readonly requestedBytes: number;
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly retryAfterMs: number;
}

/** A reservation does not fit. Nothing was taken. */
export class MemoryLimitError extends StreamGuardError implements MemoryLimitDetails {
  readonly scope: LimitScope;
  readonly sessionId: string;
  readonly requestedBytes: number;
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly retryAfterMs: number;

  constructor(details: MemoryLimitDetails) {
    const { scope, sessionId, requestedBytes, usedBytes, limitBytes, retryAfterMs } = details;
    super(
      "STREAM_GUARD_MEMORY_LIMIT",
      `session ${sessionId} asked for ${requestedBytes} bytes, but ${usedBytes} of the ${scope}'s ` +
        `${limitBytes} bytes are in use; release memory or retry after ${retryAfterMs} ms`,
    );
    this.scope = scope;
    this.sessionId = sessionId;
    this.requestedBytes = requestedBytes;
    this.usedBytes = usedBytes;
    this.limitBytes = limitBytes;
    this.retryAfterMs = retryAfterMs;
  }
}

export type AdmissionReason = "sessions" | "principal" | "memory" | "pressure" | "closed";

/** A new session is refused; the sessions already open are not affected. */
export class AdmissionError extends StreamGuardError {
  readonly reason: AdmissionReason;
  readonly retryAfterMs: number;

  constructor(reason: AdmissionReason, detail: string, retryAfterMs: number) {
    super("STREAM_GUARD_ADMISSION", `session refused: ${detail}; retry after ${retryAfterMs} ms`);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The session was closed; `reason` says by what. */
export class SessionClosedError extends StreamGuardError {
  readonly sessionId: string;
  readonly reason: string;

  constructor(
    sessionId: string,
    reason: string,
    code = "STREAM_GUARD_SESSION_CLOSED",
    message = `session ${sessionId} is closed (${reason}); open a new one`,
  ) {
    super(code, message);
    this.sessionId = sessionId;
    this.reason = reason;
  }
}

/** The session was closed because its reader took nothing while bytes waited for it. */
export class ReaderStalledError extends SessionClosedError {
  readonly stalledMs: number;
  readonly heldBytes: number;

  constructor(sessionId: string, reason: string, stalledMs: number, heldBytes: number) {
    super(
      sessionId,
      reason,
      "STREAM_GUARD_READER_STALLED",
      `session ${sessionId} is closed (${reason}): ${heldBytes} bytes waited for a reader that took nothing for ` +
        `${Math.round(stalledMs)} ms; read faster, or raise stallTimeoutMs`,
    );
    this.stalledMs = stalledMs;
    this.heldBytes = heldBytes;
  }
}

/** More bytes were released than are held. Nothing was released. */
export class OverReleaseError extends StreamGuardError {
  readonly sessionId: string;
  readonly releasedBytes: number;
  readonly heldBytes: number;

  constructor(sessionId: string, releasedBytes: number, heldBytes: number) {
    super(
      "STREAM_GUARD_OVER_RELEASE",
      `session ${sessionId} holds ${heldBytes} bytes, but ${releasedBytes} were released; release what was reserved, once`,
    );
    this.sessionId = sessionId;
    this.releasedBytes = releasedBytes;
    this.heldBytes = heldBytes;
  }
}

/** The bounded queue in front of a session's memory or of a pool is full. */
export class QueueFullError extends StreamGuardError {
  readonly queueLimit: number;

  constructor(what: string, queueLimit: number) {
    super(
      "STREAM_GUARD_QUEUE_FULL",
      `${what}: ${queueLimit} are already waiting; retry later or shed load`,
    );
    this.queueLimit = queueLimit;
  }
}

/** A message from a client is longer than messages may be. */
export class MessageTooLargeError extends StreamGuardError {
  readonly receivedBytes: number;
  readonly maxBytes: number;

  constructor(receivedBytes: number, maxBytes: number) {
    super(
      "STREAM_GUARD_MESSAGE_TOO_LARGE",
      `a message of ${receivedBytes} bytes or more is refused: at most ${maxBytes} are accepted, as far as there is room; send less at once`,
    );
    this.receivedBytes = receivedBytes;
    this.maxBytes = maxBytes;
  }
}

/** A client stopped sending in the middle of a request's body; the session goes on. */
export class UploadStalledError extends StreamGuardError {
  readonly receivedBytes: number;
  readonly stalledMs: number;

  constructor(receivedBytes: number, stalledMs: number) {
    super(
      "STREAM_GUARD_UPLOAD_STALLED",
      `a body stopped after ${receivedBytes} bytes and nothing came for ${Math.round(stalledMs)} ms; send it again`,
    );
    this.receivedBytes = receivedBytes;
    this.stalledMs = stalledMs;
  }
}

/** No permit became free in time. */
export class AcquireTimeoutError extends StreamGuardError {
  readonly weight: number;
  readonly timeoutMs: number;

  constructor(pool: string, weight: number, timeoutMs: number) {
    super(
      "STREAM_GUARD_ACQUIRE_TIMEOUT",
      `pool ${pool}: no permit of weight ${weight} became free within ${timeoutMs} ms; retry later or raise the capacity`,
    );
    this.weight = weight;
    this.timeoutMs = timeoutMs;
  }
}

/** The pool was closed. */
export class PoolClosedError extends StreamGuardError {
  constructor(pool: string) {
    super("STREAM_GUARD_POOL_CLOSED", `pool ${pool} is closed; create a new one`);
  }
}

/** The destination accepted nothing for `timeoutMs`; it was destroyed. */
export class DrainTimeoutError extends StreamGuardError {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(
      "STREAM_GUARD_DRAIN_TIMEOUT",
      `the destination did not drain within ${timeoutMs} ms: its reader does not read`,
    );
    this.timeoutMs = timeoutMs;
  }
}

/** The destination closed before everything was written. */
export class DestinationClosedError extends StreamGuardError {
  constructor(options?: ErrorOptions) {
    super(
      "STREAM_GUARD_DESTINATION_CLOSED",
      "the destination closed before everything was written",
      options,
    );
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name})`;
  return typeof value === "function" ? "a function" : String(value);
}
