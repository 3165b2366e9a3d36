// Two MCP servers with sessions of their own; one of them goes, and each client begins a new session at the other.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { UpstreamGroup } from "@mcp-accel/http-pool";
import { mcpFetch } from "@mcp-accel/http-pool/mcp";

interface Replica {
  readonly origin: string;
  readonly sessions: Map<string, StreamableHTTPServerTransport>;
  stop(): void;
}

async function startReplica(): Promise<Replica> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const server = createServer((request, response) => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known !== undefined) void known.handleRequest(request, response);
    else if (id !== undefined) response.writeHead(404).end();
    else {
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (session) => void sessions.set(session, transport),
      });
      const mcp = new McpServer({ name: "replica", version: "1.0.0" });
      void mcp.connect(transport).then(() => transport.handleRequest(request, response));
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, sessions, stop };
}

const info = { name: "example", version: "1.0.0" };

/** How each SDK begins a session. */
const sdks = {
  v1: async (url: URL, fetch: typeof globalThis.fetch) => {
    const client = new ClientV1(info);
    await client.connect(new TransportV1(url, { fetch }));
    return client;
  },
  v2: async (url: URL, fetch: typeof globalThis.fetch) => {
    const client = new ClientV2(info);
    await client.connect(new TransportV2(url, { fetch }));
    return client;
  },
};

// #region new-session
interface McpClient {
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

/** The v1 SDK gives the HTTP status as `code`, v2 as `status`; some servers say 400 where 404 is meant. */
function isSessionLost(error: unknown): boolean {
  const { code, status } = error as { code?: unknown; status?: unknown };
  return [404, 400].some((lost) => lost === code || lost === status);
}

class SteadyClient {
  readonly #begin: () => Promise<McpClient>;
  #client: Promise<McpClient> | undefined;

  constructor(begin: () => Promise<McpClient>) {
    this.#begin = begin;
  }

  /** Once more in a new session, when the old one is gone. What the call has done before is gone with it. */
  async use<T>(call: (client: McpClient) => Promise<T>): Promise<T> {
    const client = (this.#client ??= this.#begin());
    try {
      return await call(await client);
    } catch (error) {
      if (!isSessionLost(error)) throw error;
      // Of several calls that find the session lost, one begins the next.
      if (this.#client === client) this.#client = this.#begin();
      await client.then((old) => old.close());
      return call(await this.#client);
    }
  }
}
// #endregion new-session

const lines: string[] = [];
for (const [name, begin] of Object.entries(sdks)) {
  const replicas = [await startReplica(), await startReplica()];
  const group = new UpstreamGroup(
    replicas.map(({ origin }) => origin),
    { sessionGraceMs: 100 },
  );
  const fetch = mcpFetch(group);
  const steady = new SteadyClient(() => begin(new URL(group.origin), fetch));
  await steady.use((client) => client.ping());
  const lost = replicas.find(({ sessions }) => sessions.size > 0);
  assert.ok(lost);
  lost.stop();
  let unavailable = 0;
  for (;;) {
    const outcome = await steady
      .use((client) => client.ping())
      .then(
        () => "ok",
        (error: unknown) => (error as { code?: unknown }).code,
      );
    if (outcome === "ok") break;
    // Until sessionGraceMs have passed: the upstream may come back, and its sessions with it.
    assert.match(String(outcome), /^(HTTP_POOL_|UND_ERR_SOCKET|ECONN)/);
    unavailable += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(unavailable > 0);
  lines.push(`${name}: a new session at the other server`);
  await group.destroy();
  for (const replica of replicas) replica.stop();
}
process.stdout.write(`${lines.join("\n")}\n`);
