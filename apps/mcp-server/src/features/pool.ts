import { PoolAgent, publicAddressesOnly } from "@mcp-accel/http-pool";
import type { Config } from "../config/options.ts";
import type { HttpService } from "../tools/services.ts";
import type { Feature } from "./feature.ts";

/** `fetch_url` over connections that are reused, bounded per origin, and checked for their address. */
export function poolFeature(config: Config): Feature & HttpService {
  const agent = new PoolAgent({
    pool: {
      maxConnections: config["pool.maxConnections"],
      queueTimeoutMs: config["pool.queueTimeoutMs"],
    },
    ...(!config["fetch.allowPrivate"] && { allowAddress: publicAddressesOnly }),
  });
  return {
    get: (url, init) => agent.fetch(url, init),
    stats: () => agent.stats(),
    collectables: [agent],
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** Whether `fetch_url` may connect to an address; a limit, not an optimisation, so it holds without the pool too. */
export const isPublicAddress: (address: string) => boolean = publicAddressesOnly;
