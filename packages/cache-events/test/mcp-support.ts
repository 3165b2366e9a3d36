import { InMemoryTransport as TransportV2, Client as ClientV2 } from "@modelcontextprotocol/client";
import type { ClientOptions } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as TransportV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

/** What the tests use of both generations alike. */
export type Handler = (first: never, second: never) => unknown;

export interface Registered {
  update(changes: object): void;
  enable(): void;
  disable(): void;
  remove(): void;
}

export interface Server {
  readonly server: {
    setRequestHandler(method: unknown, handler: (...args: never) => unknown): void;
    elicitInput(params: object): Promise<{ content?: unknown }>;
    sendResourceUpdated(params: { uri: string }): Promise<void>;
  };
  registerTool(name: string, tool: object, handler: Handler): Registered;
  registerResource(name: string, uri: unknown, config: object, read: Handler): Registered;
  registerPrompt(name: string, config: object, get: Handler): Registered;
  sendToolListChanged(): void;
  connect(transport: unknown): Promise<void>;
  close(): Promise<void>;
}

export interface Client {
  setNotificationHandler(method: never, handler: (note: never) => void): void;
  setRequestHandler(method: never, handler: (...args: never) => unknown): void;
  callTool(
    call: { name: string; arguments?: object; _meta?: object },
    ...rest: never[]
  ): Promise<Result>;
  listTools(params?: object, options?: object): Promise<Result>;
  listPrompts(params?: object, options?: object): Promise<Result>;
  listResources(params?: object, options?: object): Promise<Result>;
  listResourceTemplates(params?: object, options?: object): Promise<Result>;
  readResource(params: { uri: string }, options?: object): Promise<Result>;
  subscribeResource(params: { uri: string }): Promise<unknown>;
  unsubscribeResource(params: { uri: string }): Promise<unknown>;
  close(): Promise<void>;
}

export interface Result {
  readonly content?: readonly { readonly type: string; readonly text: string }[];
  readonly contents?: readonly { readonly uri: string; readonly text: string }[];
  readonly tools?: readonly { readonly name: string }[];
  readonly prompts?: readonly { readonly name: string }[];
  readonly resources?: readonly { readonly uri: string }[];
  readonly resourceTemplates?: readonly object[];
  readonly isError?: boolean;
  readonly _meta?: object;
  readonly ttlMs?: number;
  readonly cacheScope?: string;
}

export interface Generation {
  server(options?: object, info?: { name: string; version: string }): Server;
  /** Connects a client to a server built by `build`. */
  connect(build: () => Server, options?: object): Promise<Client>;
  /** Calls a tool until `signal` says otherwise. */
  call(client: Client, name: string, signal: AbortSignal): Promise<Result>;
}

export const info = { name: "tested", version: "1" };
const clientInfo = { name: "client", version: "1" };

export const v1: Generation = {
  server: (options, given = info) => new ServerV1(given, options) as unknown as Server,
  async connect(build, options) {
    const client = new ClientV1(clientInfo, options);
    const [ours, theirs] = TransportV1.createLinkedPair();
    await Promise.all([build().connect(ours), client.connect(theirs)]);
    return client as unknown as Client;
  },
  call: (client, name, signal) => callTool(client, { name }, undefined, { signal }),
};

export const v2: Generation = {
  server: (options, given = info) => new ServerV2(given, options) as unknown as Server,
  async connect(build, options) {
    const client = new ClientV2(clientInfo, options);
    const [ours, theirs] = TransportV2.createLinkedPair();
    await Promise.all([build().connect(ours), client.connect(theirs)]);
    return client as unknown as Client;
  },
  call: (client, name, signal) => callTool(client, { name }, { signal }),
};

/** Both sides of version 2 on protocol 2026-07-28, over one connection. */
export const modern: Generation = {
  ...v2,
  async connect(build, options: ClientOptions = {}) {
    const client = new ClientV2(clientInfo, {
      ...options,
      versionNegotiation: { mode: { pin: "2026-07-28" } },
    });
    const [ours, theirs] = TransportV2.createLinkedPair();
    serveStdio(() => build() as unknown as ServerV2, { transport: ours });
    await client.connect(theirs);
    return client as unknown as Client;
  },
};

function callTool(client: Client, ...args: readonly unknown[]): Promise<Result> {
  return (client as unknown as { callTool(...all: unknown[]): Promise<Result> }).callTool(...args);
}

export const generations: readonly (readonly [string, Generation])[] = [
  ["v1", v1],
  ["v2", v2],
  ["v2 on 2026-07-28", modern],
];

export const text = (value: unknown, more: object = {}): Result => ({
  content: [{ type: "text", text: String(value) }],
  ...more,
});

export function textOf(result: Result): string {
  return result.content?.[0]?.text ?? "";
}

/** Counts how often the server itself answers `method`. */
export function countCalls(server: Server, method: string, count: () => void): void {
  const inner = server.server as unknown as Record<string, Map<string, unknown>>;
  const handlers = inner["_requestHandlers"]!;
  const handler = handlers.get(method) as (...args: unknown[]) => unknown;
  handlers.set(method, async (...args: unknown[]) => {
    count();
    return handler(...args);
  });
}
