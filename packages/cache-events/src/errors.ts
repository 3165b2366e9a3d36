/** Base of every error of this package. `code` is stable; messages are for people and may change. */
export class CacheError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** `CACHE_OPTION`: an option or argument has the wrong type or range. Nothing was changed. */
export class CacheOptionError extends CacheError {
  readonly option: string;

  constructor(option: string, expected: string, received: unknown) {
    super("CACHE_OPTION", `${option}: expected ${expected}, received ${describe(received)}`);
    this.option = option;
  }
}

/** `CACHE_LOAD_TIMEOUT`: the compute did not settle within `loadTimeoutMs`. Its signal was aborted; its late answer is dropped. */
export class LoadTimeoutError extends CacheError {
  readonly loadTimeoutMs: number;

  constructor(loadTimeoutMs: number) {
    super(
      "CACHE_LOAD_TIMEOUT",
      `the compute did not settle within loadTimeoutMs = ${loadTimeoutMs}; make it heed its signal, or raise the limit`,
    );
    this.loadTimeoutMs = loadTimeoutMs;
  }
}

/**
 * `CACHE_CYCLE`: a compute asked the cache for what waits for it, itself or by way of others. `path` names the keys, the first one
 * again at the end.
 */
export class CacheCycleError extends CacheError {
  readonly path: readonly string[];

  constructor(path: readonly string[]) {
    const shown = path.map((key) => JSON.stringify(key.slice(0, 80)));
    const middle = shown.length > 8 ? [...shown.slice(0, 4), "…", ...shown.slice(-3)] : shown;
    super(
      "CACHE_CYCLE",
      `a compute waits for itself: ${middle.join(" -> ")}; read the source there instead of the cache`,
    );
    this.path = path;
  }
}

/**
 * `CACHE_INVALIDATION`: the store did not confirm an invalidation. This cache reads past it until the store does; other
 * processes may still serve what should have gone. `applied` tells whether the function given to `write()` had run.
 */
export class InvalidationError extends CacheError {
  /** What was to be invalidated, in words. */
  readonly what: string;
  readonly applied: boolean;

  constructor(what: string, applied: boolean, cause: unknown) {
    const advice = applied
      ? "the write itself took effect: repeat the invalidation, not the write"
      : "nothing else was done: repeat the call";
    super("CACHE_INVALIDATION", `the invalidation of ${what} is not durable; ${advice}`, { cause });
    this.what = what;
    this.applied = applied;
  }

  /** The same failure, met after the write that it belongs to had taken effect. */
  static afterWrite(error: unknown): unknown {
    return error instanceof InvalidationError
      ? new InvalidationError(error.what, true, error.cause)
      : error;
  }
}

/** `CACHE_RULE`: a rule threw or did not return tags, so everything was invalidated instead. */
export class RuleError extends CacheError {
  readonly eventType: string;

  constructor(eventType: string, cause: unknown) {
    super(
      "CACHE_RULE",
      `the rule for "${eventType}" did not return an array of tags, so everything was invalidated; mend the rule`,
      { cause },
    );
    this.eventType = eventType;
  }
}

/** `CACHE_SELECTION`: a store cannot make this selection safely. Nothing was cleared. */
export class SelectionError extends CacheError {
  constructor(received: string) {
    super(
      "CACHE_SELECTION",
      `with a store, clear() takes { tags }, { event }, { namespace } or nothing, received { ${received} }; give the keys a tag or a namespace of their own`,
    );
  }
}

/** `CACHE_SUBSCRIBER_TIMEOUT`: a subscriber of the bus did not settle in time; `emit()` went on without it. */
export class SubscriberTimeoutError extends CacheError {
  constructor(eventType: string, timeoutMs: number) {
    super(
      "CACHE_SUBSCRIBER_TIMEOUT",
      `a subscriber of "${eventType}" did not settle within subscriberTimeoutMs = ${timeoutMs}`,
    );
  }
}

/** `CACHE_SUBSCRIBER_BUSY`: a subscriber of the bus had `maxPending` events under way, and missed this one. */
export class SubscriberBusyError extends CacheError {
  constructor(eventType: string, maxPending: number) {
    super(
      "CACHE_SUBSCRIBER_BUSY",
      `a subscriber of "${eventType}" has maxPending = ${maxPending} events under way and missed one; make it faster, or do not return its promise`,
    );
  }
}

export type StoreErrorReason =
  | "failed"
  | "timeout"
  | "busy"
  | "full"
  | "readonly"
  | "corrupt"
  | "foreign"
  | "unavailable"
  | "too-large"
  | "closed";

export interface StoreErrorOptions extends ErrorOptions {
  readonly reason?: StoreErrorReason;
}

/** `CACHE_STORE`: the store failed, refused or did not answer within `storeTimeoutMs`. `reason` is `"failed"` when no other is known. */
export class StoreError extends CacheError {
  readonly reason: StoreErrorReason;

  constructor(message: string, options: StoreErrorOptions = {}) {
    super("CACHE_STORE", message, options);
    this.reason = options.reason ?? "failed";
  }
}

/** `CACHE_SUBSCRIPTIONS`: a client has subscribed to as many resources as it may, or to one whose URI is too long. */
export class SubscriptionLimitError extends CacheError {
  constructor(limit: string) {
    super(
      "CACHE_SUBSCRIPTIONS",
      `no more than ${limit} of one client; unsubscribe, or raise maxSubscriptions`,
    );
  }
}

/** `CACHE_NOTIFY`: a notification could not be sent in time, or there were too many; the clients may hold what has changed. */
export class NotifyError extends CacheError {
  constructor(message: string, options?: ErrorOptions) {
    super("CACHE_NOTIFY", message, options);
  }
}

/** `CACHE_CLOSED`: the cache, or the bus, was closed. */
export class CacheClosedError extends CacheError {
  constructor(name: string, what: "cache" | "bus" = "cache") {
    super("CACHE_CLOSED", `the ${what} "${name}" is closed; create a new one`);
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
