import {
  AddressNotAllowedError,
  PoolAgent,
  RedirectError,
  publicAddressesOnly,
  UpstreamUnavailableError,
} from "@mcp-accel/http-pool";
import type { Config } from "../config/options.ts";
import { addressNotAllowed, badRedirect, upstreamUnavailable } from "../tools/fetch-errors.ts";
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
    get: async (url, init) => {
      try {
        return await agent.fetch(url, init);
      } catch (error) {
        throw asPlain(error, url);
      }
    },
    stats: () => agent.stats(),
    collectables: [agent],
    // A page's body is read after the call that asked for it.
    finish: () => agent.close(),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** The errors that a plain server has too keep its codes: switching the pool off changes none. */
function asPlain(error: unknown, url: URL): unknown {
  if (error instanceof AddressNotAllowedError) return addressNotAllowed(url.hostname, error);
  if (error instanceof UpstreamUnavailableError) return upstreamUnavailable(url, error);
  if (error instanceof RedirectError)
    return badRedirect(url, error.message.slice(error.message.indexOf(": ") + 2), error);
  return error;
}

/** Whether `fetch_url` may connect to an address; a limit, not an optimisation, so it holds without the pool too. */
export const isPublicAddress: (address: string) => boolean = publicAddressesOnly;
