import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { seed } from "./seed.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const upstream = fileURLToPath(new URL("upstream.ts", import.meta.url));

export interface Process {
  readonly url: string;
  readonly stop: () => Promise<void>;
}
export interface ServerProcess extends Process {
  readonly swarmId: string;
  readonly stats: () => Promise<ServerStats>;
}
export interface ServerStats {
  readonly cpuSeconds: number;
  readonly cache: { readonly hitRatio: number };
  readonly pool: { readonly reuseRatio: number };
}

/** The server in a process of its own, with a database of its own on disk. */
export async function startServer(flags: readonly string[]): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), "mcp-accel-demo-"));
  const store = join(folder, "swarm.db");
  const swarmId = await seed(store);
  const args = ["--port", "0", "--ops-port", "0", "--store", store, "--log-level", "warn"];
  const { text, stop } = await start(
    [main, "serve", ...args, "--fetch-allow-private", "true", ...flags],
    "Ctrl+C",
  );
  const find = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? "";
  const statsUrl = find(/stats +(\S+)/);
  return {
    url: find(/serves MCP at (\S+)/),
    swarmId,
    stats: async () => (await fetch(statsUrl)).json() as Promise<ServerStats>,
    stop: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A web site in a process of its own, for fetch_url. */
export async function startUpstream(): Promise<Process> {
  const { text, stop } = await start([upstream], "\n");
  return { url: text.trim(), stop };
}

interface Started {
  readonly text: string;
  readonly stop: () => Promise<void>;
}

async function start(args: readonly string[], until: string): Promise<Started> {
  const child = spawn(process.execPath, ["--conditions=@mcp-accel/source", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill());
  let text = "";
  for await (const data of child.stdout) {
    text += String(data);
    if (text.includes(until)) break;
  }
  return {
    text,
    stop: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}
