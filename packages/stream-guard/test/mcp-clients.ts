import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as ConnectionV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport as HttpV1 } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as ConnectionV2,
} from "@modelcontextprotocol/client";
import { NodeStreamableHTTPServerTransport as HttpV2 } from "@modelcontextprotocol/node";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { z } from "zod";

export const KIB: number = 1024;
export const FILL: string = "x".repeat(64 * KIB);
const INFO = { name: "test", version: "1" };
const LOGGING = { capabilities: { logging: {} } };

type Options = ConstructorParameters<typeof HttpV1>[0];

/** The parts of one SDK generation, typed as those of v1. */
export interface Sdk {
  readonly version: "v1" | "v2";
  transport(options: Options): HttpV1;
  server(): ServerV1;
  client(): ClientV1;
  connection(url: string, options?: ConstructorParameters<typeof ConnectionV1>[1]): ConnectionV1;
}

export function sdkOf(version: "v1" | "v2"): Sdk {
  const v2 = version === "v2";
  return {
    version,
    transport: (options) => (v2 ? (new HttpV2(options) as unknown as HttpV1) : new HttpV1(options)),
    server: () => {
      const server = v2
        ? (new ServerV2(INFO, LOGGING) as unknown as ServerV1)
        : new ServerV1(INFO, LOGGING);
      server.registerTool("echo", { inputSchema: z.object({ size: z.number() }) }, ({ size }) => ({
        content: [{ type: "text", text: "x".repeat(size) }],
      }));
      return server;
    },
    client: () => (v2 ? (new ClientV2(INFO) as unknown as ClientV1) : new ClientV1(INFO)),
    connection: (url, options) =>
      v2
        ? (new ConnectionV2(new URL(url), options) as unknown as ConnectionV1)
        : new ConnectionV1(new URL(url), options),
  };
}

/** A request for a tool. */
export function call(id: number, name: string, args: object): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

export async function log(server: ServerV1 | undefined, data: string): Promise<void> {
  await server?.server.notification({
    method: "notifications/message",
    params: { level: "info", data },
  });
}
