import {
  Client as Client2026,
  StreamableHTTPClientTransport as Http2026,
} from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2026 } from "@modelcontextprotocol/client/stdio";
import { Client as Client2025 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Stdio2025 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Http2025 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { fromSource } from "./from-source.ts";

export type Era = "2025" | "2026";
export const eras: readonly Era[] = ["2025", "2026"];

export interface CallResult {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly isError?: boolean;
}

/** An official client of either protocol, reduced to what the tests use. */
export interface TestClient {
  readonly client: Client2025 | Client2026;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<CallResult>;
  close(): Promise<void>;
}
export interface CallOptions {
  readonly onprogress?: (progress: {
    progress: number;
    total?: number | undefined;
    message?: string | undefined;
  }) => void;
  readonly signal?: AbortSignal;
}

const info = { name: "test", version: "0" };

export async function connectHttp(era: Era, url: string): Promise<TestClient> {
  if (era === "2025") {
    const client = new Client2025(info);
    await client.connect(new Http2025(new URL(url)));
    return wrap(client);
  }
  const client = new Client2026(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  await client.connect(new Http2026(new URL(url)));
  return wrap(client);
}

/** Starts the server from its sources as the client's child process. */
export async function connectStdio(era: Era, flags: readonly string[]): Promise<TestClient> {
  const command = {
    command: process.execPath,
    args: [...fromSource, "serve", "--stdio", "--log-level", "error", ...flags],
  };
  if (era === "2025") {
    const client = new Client2025(info);
    await client.connect(new Stdio2025(command));
    return wrap(client);
  }
  const client = new Client2026(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  await client.connect(new Stdio2026(command));
  return wrap(client);
}

function wrap(client: Client2025 | Client2026): TestClient {
  return {
    client,
    call: async (name, args = {}, options = {}) => {
      const params = { name, arguments: args };
      const result =
        client instanceof Client2025
          ? await client.callTool(params, undefined, options)
          : await client.callTool(params, options);
      return result as unknown as CallResult;
    },
    close: () => client.close(),
  };
}
