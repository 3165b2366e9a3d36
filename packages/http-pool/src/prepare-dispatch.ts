import { isIP } from "node:net";
import type { Dispatcher } from "undici";
import { InvalidArgumentError } from "./errors.ts";

export interface PoolDispatchOptions extends Dispatcher.DispatchOptions {
  /**
   * `"stream"` is for a response without an end, and that of an upgrade: it gets a connection beyond
   * `maxConnections`, at most `maxStreams` of them. `"reply"` is for a short message for which requests under
   * way may wait: when every connection is in use it gets one beyond, at most `maxReplies` of them.
   */
  readonly lane?: RequestLane | undefined;
  /** Silence in an event stream, comments not counted, in milliseconds; without it, and with 0, it may last. */
  readonly eventTimeout?: number | undefined;
  /** Header whose value keeps a session at one upstream of an `UpstreamGroup`; in lower case. */
  readonly affinityHeader?: string;
  /** TLS name; that of the origin if not given. */
  readonly servername?: string;
}

export type RequestLane = "request" | "stream" | "reply";

const LANES: readonly unknown[] = ["request", "stream", "reply"];

/** An upgraded connection is in use for as long as a stream. */
export function laneOf({ lane, method, upgrade }: PoolDispatchOptions): RequestLane {
  return lane ?? (upgrade || method === "CONNECT" ? "stream" : "request");
}

/**
 * Fits the options of a request to connections that stay open.
 * @throws InvalidArgumentError when they are meant for another origin
 */
export function prepareDispatch(options: PoolDispatchOptions, upstream: URL): PoolDispatchOptions {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError("options", "an object", options);
  checkOrigin(options.origin, upstream);
  const { lane, method, reset, servername } = options;
  if (lane !== undefined && !LANES.includes(lane))
    throw new InvalidArgumentError("lane", '"request", "stream" or "reply"', lane);
  // Undici closes a connection after HEAD, unless it is told not to.
  const keepAfterHead = method === "HEAD" && reset === undefined;
  // Undici closes a connection when the Host header asks for another TLS name than the last one.
  const tlsName = servername === undefined ? nameOf(upstream) : undefined;
  if (!keepAfterHead && tlsName === undefined) return options;
  return {
    ...options,
    ...(keepAfterHead && { reset: false }),
    ...(tlsName !== undefined && { servername: tlsName }),
  };
}

function checkOrigin(origin: string | URL | null | undefined, upstream: URL): void {
  if (origin === undefined || origin === null || origin === upstream.origin) return;
  const given = URL.parse(String(origin))?.origin;
  if (given !== upstream.origin)
    throw new InvalidArgumentError("origin", `${upstream.origin}, the pool's`, given ?? "no URL");
}

function nameOf({ hostname, protocol }: URL): string | undefined {
  if (protocol !== "https:" || hostname.startsWith("[") || isIP(hostname) !== 0) return undefined;
  return hostname;
}
