import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { connectHttp } from "./support/clients.ts";
import type { TestClient } from "./support/clients.ts";
import { startServer } from "./support/servers.ts";
import type { Stats, TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";

const CLIENTS = 60;
const PIPELINED = 5;
const PATIENT = { timeout: 60_000, interval: 50 };

const sockets: Socket[] = [];
let server: TestServer | undefined;
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
});

test("a good client is served while sixty others ask for much and read nothing; those are cut off", async () => {
  server = await startServer({
    "guard-max-memory-bytes": String(48 << 20),
    "guard-stall-timeout-ms": "3000",
  });
  const { url } = server;
  const guardStats = async (): Promise<Stats["guard"]> => (await server!.stats()).guard;
  const good = await connectHttp("2026", url);
  await assignLargeTasks(good);
  const attackers = Array.from({ length: CLIENTS }, () => neverRead(url));
  await expect.poll(async () => (await guardStats()).evicted.stalled, PATIENT).toBeGreaterThan(0);

  const served = async (): Promise<boolean> =>
    good.call("list_agents").then(
      ({ isError }) => isError !== true,
      () => false,
    );
  await expect.poll(served, PATIENT).toBe(true);

  await expect.poll(guardStats, PATIENT).toMatchObject({ sessions: 0, usedBytes: 0 });
  for (const socket of attackers) socket.resume();
  await expect
    .poll(() => attackers.filter(({ closed }) => closed).length, PATIENT)
    .toBeGreaterThan(5);
  expect(await served()).toBe(true);
  await good.close();
}, 240_000);

async function assignLargeTasks(client: TestClient): Promise<void> {
  const { agent } = structured<{ agent: { id: string } }>(
    await client.call("create_agent", { name: "a" }),
  );
  const task = { title: "t", agentId: agent.id, description: "d".repeat(9000) };
  await client.call("assign_tasks", { tasks: Array.from({ length: 150 }, () => task) });
}

/** Asks for every task several times at once, over one connection, and reads nothing of the answers. */
function neverRead(url: string): Socket {
  const { port, host } = new URL(url);
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "list_tasks",
      arguments: { limit: 150 },
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "never reads", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  });
  const head = [
    "POST /mcp HTTP/1.1",
    `Host: ${host}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    "Mcp-Name: list_tasks",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].join("\r\n");
  const socket = connect(Number(port), "127.0.0.1").pause();
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(`${head}\r\n\r\n${body}`.repeat(PIPELINED));
  return socket;
}
