import { fileURLToPath } from "node:url";
import type { Config } from "./config/options.ts";
import { version } from "./version.ts";

/** What a newcomer needs to connect: the URLs, and a client configuration to paste. */
export function banner(url: string, opsUrl: string, config: Config): string {
  return `mcp-accel ${version} serves MCP at ${url}
  metrics  ${opsUrl}/metrics
  stats    ${opsUrl}/stats
  health   ${opsUrl}/healthz
  state    ${config.store}

Paste one of these into the configuration of your MCP client:

${JSON.stringify({ mcpServers: { "mcp-accel": { type: "http", url } } }, undefined, 2)}

${JSON.stringify({ mcpServers: { "mcp-accel": stdioEntry(config) } }, undefined, 2)}

Stop it with Ctrl+C.`;
}

function stdioEntry({ store }: Config): { command: string; args: string[] } {
  const main = fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "main.ts" : "main.js", import.meta.url),
  );
  const fromSource = main.endsWith(".ts") ? ["--conditions=@mcp-accel/source"] : [];
  const memory = store === ":memory:" ? [] : ["--store", store];
  return { command: process.execPath, args: [...fromSource, main, "serve", "--stdio", ...memory] };
}
