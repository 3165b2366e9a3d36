// Redis or Valkey for one suite.
import { findProgram } from "./find.ts";
import { ask, TestServer } from "./server.ts";

export const redisProgram: string | undefined = findProgram("redis-server", "valkey-server");

export interface RedisOptions {
  /** More of the server's options, such as `["--maxmemory", "8mb"]`. Nothing is persisted by default. */
  readonly args?: readonly string[];
}

export function startRedis({ args = [] }: RedisOptions = {}): Promise<TestServer> {
  return TestServer.start({
    name: "redis",
    command(port, folder) {
      if (redisProgram === undefined) throw new Error("there is no redis-server");
      const own = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
      return { program: redisProgram, args: [...own, ...args] };
    },
    // An error is an answer, too: while it loads its data, or waits for its primary.
    isReady: async (port) => /^[+-]/.test((await ask(port, "PING\r\n")) ?? ""),
  });
}
