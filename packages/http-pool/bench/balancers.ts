import { UpstreamGroup } from "@mcp-accel/http-pool";
import type { UpstreamGroupOptions } from "@mcp-accel/http-pool";
import { BalancedPool, RoundRobinPool, buildConnector, interceptors } from "undici";
import type { Dispatcher } from "undici";

/** Connections to each replica. */
const CONNECTIONS = 50;
const POOL = { maxConnections: CONNECTIONS };
export const PROBE_INTERVAL_MS = 500;

type Create = (origins: readonly string[]) => Dispatcher;

export const PEAK_EWMA = "group, peak-ewma";
export const HEDGED = "group, peak-ewma, hedged";

export const balancers: Readonly<Record<string, Create>> = {
  "undici BalancedPool": balanced,
  "undici BalancedPool, retry": (origins) =>
    balanced(origins).compose(
      interceptors.retry({ maxRetries: 2, minTimeout: 25, statusCodes: [502, 503, 504] }),
    ),
  "undici RoundRobinPool": roundRobin,
  [PEAK_EWMA]: group({}),
  "group, least-request": group({ balance: "least-request" }),
  "group, round-robin": group({ balance: "round-robin" }),
  [HEDGED]: group({ hedge: true }),
};

function group(options: UpstreamGroupOptions): Create {
  const probe = { intervalMs: PROBE_INTERVAL_MS };
  return (origins) => new UpstreamGroup(origins, { pool: POOL, probe, ...options });
}

function balanced(origins: readonly string[]): Dispatcher {
  return new BalancedPool([...origins], { connections: CONNECTIONS, allowH2: false });
}

/** It has one origin: its connections are spread by a balancer of TCP connections, which this stands for. */
function roundRobin(origins: readonly string[]): Dispatcher {
  const ports = origins.map((origin) => new URL(origin).port);
  const connector = buildConnector({ allowH2: false });
  let next = 0;
  return new RoundRobinPool(origins[0] ?? "", {
    connections: CONNECTIONS * ports.length,
    connect: (options, callback) => {
      const port = ports[next++ % ports.length] ?? options.port;
      connector({ ...options, port }, callback);
    },
  });
}
