import { isIP } from "node:net";
import type { Dispatcher } from "undici";
import { InvalidArgumentError } from "./errors.ts";

/** `lane: "stream"` is for a response without an end: it gets a connection beyond `maxConnections`. */
export interface PoolDispatchOptions extends Dispatcher.DispatchOptions {
  readonly lane?: "request" | "stream";
  /** It only reads, so that it may be under way twice; by its method if not given. */
  readonly safe?: boolean;
  /** Header whose value keeps a session at one upstream of an `UpstreamGroup`; in lower case. */
  readonly affinityHeader?: string;
  /** TLS name; that of the origin if not given. */
  readonly servername?: string;
}

/**
 * Fits the options of a request to connections that stay open.
 * @throws InvalidArgumentError when they are meant for another origin
 */
export function prepareDispatch(options: PoolDispatchOptions, upstream: URL): PoolDispatchOptions {
  if (typeof options !== "object" || options === null)
    throw new InvalidArgumentError("options", "an object", options);
  checkOrigin(options.origin, upstream);
  const { lane, servername } = options;
  if (lane !== undefined && lane !== "request" && lane !== "stream")
    throw new InvalidArgumentError("lane", '"request" or "stream"', lane);
  // Undici closes a connection when the Host header asks for another TLS name than the last one.
  const tlsName = servername === undefined ? nameOf(upstream) : undefined;
  return tlsName === undefined ? options : { ...options, servername: tlsName };
}

function checkOrigin(origin: string | URL | null | undefined, upstream: URL): void {
  if (origin === undefined || origin === null || origin === upstream.origin) return;
  const given = URL.parse(String(origin))?.origin;
  if (given !== upstream.origin)
    throw new InvalidArgumentError("origin", `${upstream.origin}, the pool's`, given ?? "no URL");
}

/** The TLS name of an origin; an address has none. */
export function nameOf({ hostname, protocol }: URL): string | undefined {
  if (protocol !== "https:" || hostname.startsWith("[") || isIP(hostname) !== 0) return undefined;
  return hostname;
}
