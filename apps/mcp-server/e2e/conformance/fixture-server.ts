import { McpEndpoint, type ServerFactories } from "../../src/http/mcp-endpoint.ts";
import { listen } from "../../src/http/listen.ts";
import type { Host } from "../../src/host/host.ts";
import { createFixture2025 } from "./fixture-2025.ts";
import { createFixture2026 } from "./fixture-2026.ts";

export interface Target {
  readonly url: string;
  close(): Promise<void>;
}

/** The product's HTTP layer around the fixture's servers, on a free port. */
export async function startFixture(verbose: boolean): Promise<Target> {
  const factories: ServerFactories = {
    create2025: createFixture2025,
    create2026: createFixture2026,
  };
  const MiB = 1024 * 1024;
  const limits = {
    maxBodyBytes: MiB,
    maxSessions: 100,
    sessionIdleMs: 60_000,
    replayBytes: 8 * MiB,
  };
  const endpoint = new McpEndpoint(fixtureHost(verbose), limits, factories);
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    requestTimeoutMs: 10_000,
    handle: (request, response) => endpoint.handle(request, response),
  });
  return {
    url: `${listener.url}/mcp`,
    close: async () => {
      await endpoint[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** What the HTTP layer itself asks of its host; tools, resources and prompts are the fixture's own. */
function fixtureHost(verbose: boolean): Host {
  const host: Pick<Host, "guardResponse" | "stopWriting" | "reportError"> & {
    changes: Pick<Host["changes"], "subscribe">;
  } = {
    changes: { subscribe: () => ({ [Symbol.dispose]: () => {} }) },
    guardResponse: () => {},
    stopWriting: () => {},
    reportError: (error, where) => {
      if (verbose) console.error(`${where}:`, error);
    },
  };
  return host as Host;
}
