import type { Writable } from "node:stream";
import { GuardedTransport } from "./guarded-transport.ts";
import type { GuardedTransportOptions, TransportLike } from "./guarded-transport.ts";
import { bytes, duration, integer } from "./options.ts";
import type { OpenOptions } from "./options.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { StreamingSession } from "./streaming-session.ts";

const DEFAULT_MAX_WAITING = 100;
const DEFAULT_MAX_REQUESTS = 1000;
const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024;
/** A process that speaks to one client by its standard streams has no reason to end because that says nothing. */
const STDIO_IDLE_TIMEOUT_MS = 2 ** 31 - 1;

export interface GuardTransportOptions extends OpenOptions {
  /** Where the transport writes, if that is one stream (`process.stdout`): messages count until it drained. */
  readonly destination?: Writable;
  /** How long the first message in line waits for room before the session fails; the guard's `reserveTimeoutMs` by default. */
  readonly sendTimeoutMs?: number;
  /** Messages that may wait for room. Together they may be no larger than the session's limit. */
  readonly maxWaiting?: number;
  /** Requests of the client in progress at once; more are answered with an error. */
  readonly maxRequests?: number;
  /** Bytes of one HTTP request's body, which is read and parsed unless the caller did that. */
  readonly maxBodyBytes?: number;
  /** A session of the guard to use, instead of one opened here with the options above. */
  readonly session?: StreamingSession;
}

type TransportLimits = Omit<GuardedTransportOptions, "destination">;

/**
 * The same transport with a bounded memory: a message goes out when the session has room for it, and
 * counts until it has left. Use the returned transport in place of the given one, also for
 * `handleRequest`, so that the responses it writes to can be seen.
 *
 * @throws AdmissionError when the guard is full
 * @throws InvalidArgumentError
 */
export function guardTransport<T extends TransportLike>(
  transport: T,
  guard: StreamGuard,
  options: GuardTransportOptions = {},
): T {
  const { destination, session: opened } = options;
  const limits = resolveTransportLimits(options);
  const idle = destination === undefined ? {} : { idleTimeoutMs: STDIO_IDLE_TIMEOUT_MS };
  const session = opened ?? guard.open({ ...idle, ...options });
  const guarded = new GuardedTransport(transport, session, { destination, ...limits });
  return overlay(transport, guarded.facade());
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveTransportLimits({
  sendTimeoutMs,
  maxWaiting = DEFAULT_MAX_WAITING,
  maxRequests = DEFAULT_MAX_REQUESTS,
  maxBodyBytes = DEFAULT_MAX_BODY_BYTES,
}: GuardTransportOptions): TransportLimits {
  if (sendTimeoutMs !== undefined) duration("sendTimeoutMs", sendTimeoutMs);
  integer("maxWaiting", maxWaiting, 0);
  integer("maxRequests", maxRequests, 1);
  bytes("maxBodyBytes", maxBodyBytes, 1);
  return { sendTimeoutMs, maxWaiting, maxRequests, maxBodyBytes };
}

/** `target` with the properties of `facade` in front; methods of `target` keep it as their `this`. */
function overlay<T extends object>(target: T, facade: object): T {
  const methods = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get: (_, property) => {
      if (property in facade) return Reflect.get(facade, property);
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function" || property === "constructor") return value;
      if (!methods.has(property)) methods.set(property, value.bind(target));
      return methods.get(property);
    },
    set: (_, property, value) => {
      methods.delete(property);
      return property in facade
        ? Reflect.set(facade, property, value)
        : Reflect.set(target, property, value, target);
    },
  });
}
