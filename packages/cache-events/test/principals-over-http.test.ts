import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpHandler } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { cacheTools } from "../src/mcp.ts";
import { info, modern, text, textOf, v1 } from "./mcp-support.ts";
import type { Client, Generation, Server } from "./mcp-support.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function listen(
  handle: (request: IncomingMessage & { auth?: unknown }, response: ServerResponse) => unknown,
): Promise<URL> {
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
}

/** As a bearer check would: what comes after `Bearer` is the token. */
function authOf(header: string | null | undefined): object | undefined {
  const token = header?.replace(/^Bearer /, "");
  return token === undefined ? undefined : { token, clientId: "client", scopes: [] };
}

function build(generation: Generation, cache: EventCache, count: () => number): Server {
  const server = generation.server();
  const readOnly = { annotations: { readOnlyHint: true } };
  server.registerTool("mine", readOnly, () => text(count()));
  server.registerTool("everyones", readOnly, () => text(count()));
  cacheTools(server, cache, { tools: { everyones: { public: true } } });
  return server;
}

interface Endpoint {
  connect(headers?: Record<string, string>): Promise<Client>;
}

/** A server of version 1 with sessions or without, which checks bearer tokens or does not. */
async function endpointV1(options: { sessions: boolean; auth: boolean }): Promise<Endpoint> {
  const cache = new EventCache();
  let runs = 0;
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: options.sessions ? randomUUID : undefined,
      onsessioninitialized: (id: string) => void sessions.set(id, transport),
    } as never);
    await build(v1, cache, () => ++runs).connect(transport);
    return transport;
  };
  const url = await listen(async (request, response) => {
    if (options.auth) request.auth = authOf(request.headers.authorization);
    const session = sessions.get(String(request.headers["mcp-session-id"])) ?? (await open());
    await session.handleRequest(request as never, response);
  });
  return {
    async connect(headers = {}) {
      const client = new ClientV1(info);
      await client.connect(new TransportV1(url, { requestInit: { headers } }));
      ends.push(() => client.close());
      return client as unknown as Client;
    },
  };
}

/** A server of version 2 on 2026-07-28, which has no sessions. */
async function endpointV2({ auth }: { auth: boolean }): Promise<Endpoint> {
  const cache = new EventCache();
  let runs = 0;
  const handler = createMcpHandler(
    () => build(modern, cache, () => ++runs) as unknown as McpServer,
  );
  const url = await listen(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    const asked = new Request(url, { method: "POST", headers, body: Buffer.concat(chunks) });
    const authInfo = auth ? authOf(headers.get("authorization")) : undefined;
    const answer = await handler.fetch(asked, { authInfo } as never);
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  ends.push(() => handler.close());
  return {
    async connect(headers = {}) {
      const client = new ClientV2(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
      await client.connect(new TransportV2(url, { requestInit: { headers } }));
      ends.push(() => client.close());
      return client as unknown as Client;
    },
  };
}

const call = async (client: Client, name: string): Promise<string> =>
  textOf(await client.callTool({ name }));

describe.each([
  ["v1 with sessions and checked tokens", () => endpointV1({ sessions: true, auth: true })],
  ["v1 without sessions, with checked tokens", () => endpointV1({ sessions: false, auth: true })],
  ["v1 without sessions and checks", () => endpointV1({ sessions: false, auth: false })],
  ["v2 with checked tokens", () => endpointV2({ auth: true })],
  ["v2 without checks", () => endpointV2({ auth: false })],
])("principals over HTTP: %s", (_name, open) => {
  test("one credential is one principal in all its connections, and others are others", async () => {
    const endpoint = await open();
    const alice = await endpoint.connect({ authorization: "Bearer alice" });
    const again = await endpoint.connect({ authorization: "Bearer alice" });
    const bob = await endpoint.connect({ authorization: "Bearer bob" });
    expect([await call(alice, "mine"), await call(again, "mine")]).toEqual(["1", "1"]);
    expect(await call(bob, "mine")).toBe("2");
    expect(await call(alice, "everyones")).toBe(await call(bob, "everyones"));
  });

  test("users behind one gateway's token are told apart by its headers", async () => {
    const endpoint = await open();
    const headers = { authorization: "Bearer gateway" };
    const alice = await endpoint.connect({ ...headers, "x-forwarded-user": "alice" });
    const bob = await endpoint.connect({ ...headers, "x-forwarded-user": "bob" });
    expect([await call(alice, "mine"), await call(bob, "mine")]).toEqual(["1", "2"]);
    expect(await call(alice, "mine")).toBe("1");
  });
});

describe.each([
  ["v1 without sessions", () => endpointV1({ sessions: false, auth: false })],
  ["v2", () => endpointV2({ auth: false })],
])("anonymous requests over HTTP: %s", (_name, open) => {
  test("share only what is public", async () => {
    const endpoint = await open();
    const one = await endpoint.connect();
    const two = await endpoint.connect();
    expect([await call(one, "mine"), await call(two, "mine"), await call(one, "mine")]).toEqual([
      "1",
      "2",
      "3",
    ]);
    expect([await call(one, "everyones"), await call(two, "everyones")]).toEqual(["4", "4"]);
  });

  test("with cookies are told apart by them, whatever key comes along", async () => {
    const endpoint = await open();
    const connect = (cookie: string, key: string): Promise<Client> =>
      endpoint.connect({ cookie, "x-api-key": key });
    expect(await call(await connect("id=a", "k"), "mine")).toBe("1");
    expect(await call(await connect("id=b", "k"), "mine")).toBe("2");
    expect(await call(await connect("id=a", "k"), "mine")).toBe("1");
    expect(await call(await connect("id=a", "other"), "mine")).toBe("3");
  });
});

test("sessions without credentials are principals of their own", async () => {
  const endpoint = await endpointV1({ sessions: true, auth: false });
  const one = await endpoint.connect();
  const two = await endpoint.connect();
  expect([await call(one, "mine"), await call(two, "mine"), await call(one, "mine")]).toEqual([
    "1",
    "2",
    "1",
  ]);
  expect([await call(one, "everyones"), await call(two, "everyones")]).toEqual(["3", "3"]);
});
