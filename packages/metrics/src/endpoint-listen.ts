import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isIP } from "node:net";
import { answerText } from "./endpoint-answer.ts";
import { requireInteger } from "./endpoint-limits.ts";
import { InvalidOptionError, MetricsError } from "./errors.ts";
import type { EndpointHandler } from "./handler.ts";
import { requireObject } from "./options.ts";

export interface ListenOptions {
  /** Default 127.0.0.1. Any other than a loopback address needs handlers that ask for a token. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 256. */
  readonly maxConnections?: number;
}

export interface Listener extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** `METRICS_UNSAFE_BIND`: others could reach an endpoint that asks for no token. Nothing was opened. */
export class UnsafeBindError extends MetricsError {
  override readonly name = "UnsafeBindError";

  constructor(host: string, path: string) {
    const help = "give its guard a token, or listen on 127.0.0.1";
    super(
      "METRICS_UNSAFE_BIND",
      `${host} can be reached by others and ${path} asks for no token; ${help}`,
    );
  }
}

const LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/**
 * Serves handlers by path prefix, the longest first, on a listener of their own with limits for slow and large requests.
 * Throws `InvalidOptionError`, `UnsafeBindError`, or what the system says about the address.
 */
export async function listen(
  routes: Readonly<Record<string, EndpointHandler>>,
  options: ListenOptions = {},
): Promise<Listener> {
  requireObject("options", options);
  const { host = "127.0.0.1", port = 0, maxConnections = 256 } = options;
  if (typeof host !== "string" || host === "") {
    throw new InvalidOptionError("host", "an address or a host name", host);
  }
  requireInteger("port", port, 0, 65_535);
  requireInteger("maxConnections", maxConnections, 1, 10_000);
  const paths = checkedPaths(routes);
  const open = paths.find((path) => routes[path]?.hasToken !== true);
  if (open !== undefined && !isLoopback(host)) throw new UnsafeBindError(host, open);
  const server = createServer(LIMITS, (request, response) =>
    dispatch(routes, paths, request, response),
  );
  server.maxConnections = maxConnections;
  server.listen(port, host);
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  const shown = isIP(host) === 6 ? `[${host}]` : host;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    server,
    port: bound,
    url: `http://${shown}:${bound}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function dispatch(
  routes: Readonly<Record<string, EndpointHandler>>,
  paths: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const pathname = (request.url ?? "").split("?", 1)[0] ?? "";
  const path = paths.find((prefix) => isUnder(pathname, prefix));
  if (path === undefined) answerText(request, response, 404, "Not Found\n");
  else routes[path]?.(request, response);
}

function checkedPaths(routes: Readonly<Record<string, EndpointHandler>>): readonly string[] {
  requireObject("routes", routes);
  const paths = Object.keys(routes);
  for (const path of paths) {
    if (!path.startsWith("/"))
      throw new InvalidOptionError("routes", "paths that begin with /", path);
    if (typeof routes[path] !== "function") {
      throw new InvalidOptionError(`routes.${path}`, "a handler", routes[path]);
    }
  }
  if (paths.length === 0) throw new InvalidOptionError("routes", "at least one handler", routes);
  return paths.toSorted((left, right) => right.length - left.length);
}

function isUnder(pathname: string, prefix: string): boolean {
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  return pathname === prefix || pathname.startsWith(folder);
}

// Names other than localhost are resolved by the system, to whatever it likes.
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
