import { request } from "node:http";
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectHttp, eras } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";

interface RpcError {
  readonly jsonrpc: "2.0";
  readonly id: unknown;
  readonly error: { readonly code: number; readonly message: string };
}

let server: TestServer;
beforeAll(
  async () =>
    (server = await startServer({ "http-max-body-bytes": "2000", "http-max-sessions": "5" })),
);
afterAll(() => server.close());

const accept = "application/json, text/event-stream";

async function post(
  body: string,
  headers: Record<string, string> = {},
): Promise<[number, RpcError]> {
  const response = await fetch(server.url, {
    method: "POST",
    headers: { "content-type": "application/json", accept, ...headers },
    body,
  });
  return [response.status, (await response.json()) as RpcError];
}

describe("the MCP endpoint answers bad requests with one clear error", () => {
  test("malformed JSON", async () => {
    const [status, { error }] = await post('{"jsonrpc": "2.0",');
    expect([status, error.code]).toEqual([400, -32700]);
    expect(error.message).toMatch(/^Parse error: the body is not valid JSON/);
  });

  test("bytes that are not UTF-8", async () => {
    const response = await fetch(server.url, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
      body: Uint8Array.of(0x22, 0xff, 0x22),
    });
    expect(response.status).toBe(400);
    expect((await response.json()) as RpcError).toMatchObject({ error: { code: -32700 } });
  });

  test.each(["null", "1", '"text"', "[]", "{}", "[null]"])(
    "JSON that is no message: %s",
    async (body) => {
      const [status, { error }] = await post(body);
      expect(status).toBe(400);
      expect(error.message.length).toBeGreaterThan(10);
      expect(JSON.stringify(error)).not.toMatch(/\bat .*\.[jt]s:/);
    },
  );

  test("a body over the limit, announced or not", async () => {
    const [status, { error }] = await post(JSON.stringify({ padding: "x".repeat(3_000) }));
    expect([status, error.code]).toEqual([413, -32000]);
    expect(error.message).toMatch(/longer than 2000 bytes.*http\.maxBodyBytes/);

    const chunked = request(server.url, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
    });
    chunked.on("error", () => {});
    chunked.write("x".repeat(1_500));
    chunked.write("x".repeat(1_500));
    const [response] = (await once(chunked, "response")) as [{ statusCode: number }];
    expect(response.statusCode).toBe(413);
    chunked.destroy();
  });

  test("a long body over the limit is answered, not reset", async () => {
    for (let round = 0; round < 5; round += 1) {
      const [status] = await post(JSON.stringify({ padding: "x".repeat(20_000_000) }));
      expect(status).toBe(413);
    }
  });

  test("bodies that are never finished have a common budget, which is free again when they go", async () => {
    const open = Array.from({ length: 32 }, () => {
      const unfinished = request(server.url, {
        method: "POST",
        headers: { "content-type": "application/json", "content-length": "2000", accept },
      });
      unfinished.on("error", () => {});
      unfinished.write("x".repeat(1_999));
      return unfinished;
    });
    await expect.poll(async () => (await post("x".repeat(100)))[0]).toBe(503);
    for (const unfinished of open) unfinished.destroy();
    await expect.poll(async () => (await post("x".repeat(100)))[0]).toBe(400);
  });

  test("another content type", async () => {
    const [status, { error }] = await post("{}", { "content-type": "text/plain" });
    expect(status).toBe(415);
    expect(error.message).toMatch(/send Content-Type: application\/json/);
  });

  test("a request without a session", async () => {
    const [status, { error }] = await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');
    expect(status).toBe(400);
    expect(error.message).toMatch(/Send initialize first/);
  });

  test("a session that does not exist", async () => {
    const [status, { error }] = await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      "mcp-session-id": "no",
    });
    expect([status, error.code]).toEqual([404, -32001]);
    expect(error.message).toMatch(/Send initialize to start another/);
  });

  test("another path", async () => {
    const response = await fetch(server.url.replace("/mcp", "/other"));
    expect(response.status).toBe(404);
    expect(((await response.json()) as RpcError).error.message).toMatch(
      /the MCP endpoint is \/mcp/,
    );
  });

  test("a foreign Host or Origin", async () => {
    const [status] = await post("{}", { origin: "https://evil.example" });
    expect(status).toBe(403);
    const { port } = new URL(server.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.end("GET /mcp HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1\.1 403 /);
  });

  test("nothing of it hurts the next client", async () => {
    const client = await connectHttp("2025", server.url);
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(15);
    await client.close();
  });
});

describe("sessions of the 2025 protocols", () => {
  test("are bounded: one more gets 503 with Retry-After, and a place after one was ended", async () => {
    const full = await startServer({ "http-max-sessions": "2" });
    const clients = [await connectHttp("2025", full.url), await connectHttp("2025", full.url)];
    await expect(connectHttp("2025", full.url)).rejects.toThrow(/has its 2 sessions/);
    const modern = await connectHttp("2026", full.url);
    const [first] = clients;
    await (
      first!.client.transport as unknown as { terminateSession(): Promise<void> }
    ).terminateSession();
    clients.push(await connectHttp("2025", full.url));
    await Promise.all([...clients, modern].map((client) => client.close()));
    await full.close();
  });
});

describe("overload", () => {
  test("more requests under way than the guard admits get 503 with Retry-After, and a place when one ends", async () => {
    const small = await startServer({ "http-max-requests": "4" });
    const client = await connectHttp("2026", small.url);
    const { swarm } = structured<{ swarm: { id: string } }>(
      await client.call("create_swarm", { name: "s", size: 0 }),
    );
    const cancel = new AbortController();
    const waiting = Array.from({ length: 4 }, () =>
      client
        .call("watch_swarm", { swarmId: swarm.id }, { signal: cancel.signal })
        .catch(() => "cancelled"),
    );
    await expect.poll(async () => (await small.stats()).guard).toMatchObject({ sessions: 4 });
    const refused = await fetch(small.url, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
      body: "{}",
    });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({
      error: { code: -32000, data: { retryAfterMs: expect.any(Number) as number } },
    });
    cancel.abort();
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 4 }, () => "cancelled"));
    await expect.poll(async () => (await small.stats()).guard).toMatchObject({ sessions: 0 });
    expect((await client.call("list_agents")).isError).not.toBe(true);
    await client.close();
    await small.close();
  });
});

describe.each(eras)("tools over the %s protocol", (era) => {
  test("an unknown tool is a protocol error that says where to look", async () => {
    const client = await connectHttp(era, server.url);
    await expect(client.call("no_such_tool")).rejects.toMatchObject({
      code: -32602,
      message: expect.stringMatching(
        /Unknown tool: no_such_tool\. tools\/list names those that exist/,
      ) as string,
    });
    await client.close();
  });

  test("wrong arguments are a result that names each of them", async () => {
    const client = await connectHttp(era, server.url);
    const { isError, content } = await client.call("create_swarm", { name: "", size: -1 });
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(
      /^INVALID_ARGUMENTS: create_swarm was not run\. name: .*; size: /,
    );
    await client.close();
  });

  test("a request that the state does not allow is a result with a stable code", async () => {
    const client = await connectHttp(era, server.url);
    const { isError, content } = await client.call("get_agent", { agentId: "nobody" });
    expect(isError).toBe(true);
    expect(content[0]?.text).toBe(
      'AGENT_NOT_FOUND: No agent "nobody". list_agents shows those that exist.',
    );
    await client.close();
  });
});
