import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/options.ts";
import { createLogger } from "../../src/log.ts";
import { startHttp } from "../../src/serve.ts";

export function testConfig(flags: Readonly<Record<string, string>> = {}): Config {
  const defaults = { port: "0", "ops-port": "0", store: ":memory:", "log-level": "silent" };
  return loadConfig({ flags: { ...defaults, ...flags }, env: {} });
}

export interface TestServer {
  readonly url: string;
  readonly opsUrl: string;
  stats(): Promise<Stats>;
  close(): Promise<void>;
}
export interface Stats {
  readonly cache: {
    readonly hits: number;
    readonly misses: number;
    readonly verifyMismatches: number;
  };
  readonly pool: { readonly requests: number; readonly reused: number };
  readonly guard: {
    readonly sessions: number;
    readonly level: string;
    readonly usedBytes: number;
    readonly evicted: { readonly stalled: number };
  };
  readonly [feature: string]: unknown;
}

/** The whole server in this process, on free ports. */
export async function startServer(flags?: Readonly<Record<string, string>>): Promise<TestServer> {
  const server = await startHttp(testConfig(flags), createLogger("silent"));
  const { url, opsUrl } = server;
  if (url === undefined || opsUrl === undefined) throw new Error("the server has no URL");
  return {
    url,
    opsUrl,
    close: async () => server[Symbol.asyncDispose](),
    stats: async () => (await fetch(`${opsUrl}/stats`)).json() as Promise<Stats>,
  };
}
