import { isIP } from "node:net";
import type { Dispatcher } from "undici";
import { InvalidArgumentError } from "./errors.ts";
import { timeout } from "./options.ts";

export interface PoolDispatchOptions extends Dispatcher.DispatchOptions {
  /**
   * `"stream"` is for a response without an end, and that of an upgrade: it gets a connection beyond
   * `maxConnections`, at most `maxStreams` of them. `"reply"` is for a short message for which requests under
   * way may wait: when every connection is in use it gets one beyond, at most `maxReplies` of them.
   */
  readonly lane?: RequestLane | undefined;
  /** It only reads, so that it may be under way twice; by its method if not given. */
  readonly safe?: boolean | undefined;
  /** Silence in an event stream, comments not counted, in milliseconds; without it, and with 0, it may last. */
  readonly eventTimeout?: number | undefined;
  /**
   * Header with the name of a session, which keeps to the upstream of an `UpstreamGroup` that gave that name to it
   * with an answer.
   */
  readonly affinityHeader?: string | undefined;
  /** TLS name; that of the origin if not given. */
  readonly servername?: string | undefined;
}

/** What this package adds to the options of undici's `request`. */
export type PoolRequestOptions = Pick<
  PoolDispatchOptions,
  "lane" | "safe" | "affinityHeader" | "eventTimeout"
>;

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
  const { eventTimeout, lane, servername } = options;
  if (eventTimeout !== undefined) timeout("eventTimeout", eventTimeout);
  if (lane !== undefined && !LANES.includes(lane))
    throw new InvalidArgumentError("lane", '"request", "stream" or "reply"', lane);
  // Undici closes a connection when the Host header asks for another TLS name than the last one.
  const tlsName = servername === undefined ? nameOf(upstream) : undefined;
  return tlsName === undefined ? options : { ...options, servername: tlsName };
}

function checkOrigin(origin: string | URL | null | undefined, upstream: URL): void {
  if (origin === undefined || origin === null || origin === upstream.origin) return;
  const given = URL.parse(String(origin));
  if (given?.origin === upstream.origin) return;
  const { hostname = "" } = given ?? {};
  // As from undici's interceptor for DNS, whose choice of an address would be lost.
  const isAddress = isIP(hostname) !== 0 || hostname.startsWith("[");
  const advice = isAddress ? "; to choose its address yourself use the option lookup" : "";
  throw new InvalidArgumentError(
    "origin",
    `${upstream.origin}, the pool's${advice}`,
    given?.origin ?? "no URL",
  );
}

/** The TLS name of an origin; an address has none. */
export function nameOf({ hostname, protocol }: URL): string | undefined {
  if (protocol !== "https:" || hostname.startsWith("[") || isIP(hostname) !== 0) return undefined;
  return hostname;
}
