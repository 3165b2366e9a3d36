import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fromSource } from "../test/support/from-source.ts";
import { temporaryFolder } from "../test/support/temporary-folder.ts";

export interface ServerProcess {
  readonly url: string;
  readonly opsUrl: string;
  readonly store: string;
  stop(): Promise<void>;
}

/** `mcp-accel serve` in a process of its own, on free ports, with a database of its own. */
export async function startProcess(flags: readonly string[] = []): Promise<ServerProcess> {
  const folder = temporaryFolder();
  const store = join(folder.path, "swarm.db");
  const args = [
    ...fromSource,
    "serve",
    "--port",
    "0",
    "--ops-port",
    "0",
    "--store",
    store,
    ...flags,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const banner = await readBanner(child);
  const find = (pattern: RegExp): string => pattern.exec(banner)?.[1] ?? "";
  return {
    url: find(/serves MCP at (\S+)/),
    opsUrl: find(/health +(\S+)\/healthz/),
    store,
    stop: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      folder.remove();
    },
  };
}

async function readBanner({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  for await (const data of stdout ?? []) {
    text += String(data);
    if (text.includes("Ctrl+C")) return text;
  }
  throw new Error(`the server ended before it was ready: ${text}`);
}
