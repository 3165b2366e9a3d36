import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectHttp, eras } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";

let server: TestServer;
beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server.close());

test.each(["opsUrl", "url"] as const)(
  "a path that is no path gets an answer on %s",
  async (listener) => {
    const { port } = new URL(server[listener]);
    const socket = connect(Number(port), "127.0.0.1");
    socket.end("GET // HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1\.1 404 /);
  },
);

test.each(eras)(
  "a %s client that cancels a batch with progress leaves the server as it was",
  async (era) => {
    const client = await connectHttp(era, server.url);
    const { swarm } = structured<{ swarm: { id: string } }>(
      await client.call("create_swarm", { name: "s", size: 0 }),
    );
    const cancel = new AbortController();
    const watch = (timeoutMs: number): object => ({
      name: "watch_swarm",
      arguments: { swarmId: swarm.id, timeoutMs },
    });
    const calling = client.call(
      "batch_call",
      { calls: [watch(1), watch(60_000), watch(60_000)] },
      { signal: cancel.signal, onprogress: () => cancel.abort(new Error("enough")) },
    );
    await expect(calling).rejects.toThrow("enough");
    expect((await client.call("list_agents")).isError).not.toBe(true);
    await client.close();
  },
);

test("a batch inside a batch is refused, and an unknown tool in it is named", async () => {
  const client = await connectHttp("2026", server.url);
  const nested = { name: "batch_call", arguments: { calls: [{ name: "list_agents" }] } };
  const { results } = structured<{ results: { error?: { code: string } }[] }>(
    await client.call("batch_call", { calls: [nested, nested, nested, { name: "no_such_tool" }] }),
  );
  expect(results.map(({ error }) => error?.code)).toEqual([
    "NESTED_BATCH_CALL",
    "NESTED_BATCH_CALL",
    "NESTED_BATCH_CALL",
    "UNKNOWN_TOOL",
  ]);
  await client.close();
});

test.each(eras)(
  "a request of a %s client that is under way when the server stops is answered",
  async (era) => {
    const client = await connectHttp(era, server.url);
    const { swarm } = structured<{ swarm: { id: string } }>(
      await client.call("create_swarm", { name: "s", size: 0 }),
    );
    const watching = client.call("watch_swarm", { swarmId: swarm.id, timeoutMs: 300 });
    await expect.poll(async () => (await server.stats()).guard.sessions).toBeGreaterThanOrEqual(1);
    await server.close();
    expect(structured(await watching)).toMatchObject({ changed: false });
    await client.close().catch(() => {});
  },
);
