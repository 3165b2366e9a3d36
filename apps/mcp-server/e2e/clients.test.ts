import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectHttp, connectStdio, eras, type TestClient } from "../test/support/clients.ts";
import { structured } from "../test/support/structured.ts";
import { startProcess, type ServerProcess } from "./server-process.ts";

let server: ServerProcess;
beforeAll(async () => (server = await startProcess()));
afterAll(() => server.stop());

describe.each(eras)("official clients of the %s protocol", (era) => {
  test("of both transports work on one database at the same time and never read what is no longer true", async () => {
    const clients = await Promise.all([
      connectHttp(era, server.url),
      connectHttp(era, server.url),
      connectStdio(era, ["--store", server.store]),
      connectStdio(era, ["--store", server.store]),
    ]);
    const first = clients[0];
    const before = await count(first);
    for (let round = 0; round < 10; round += 1) {
      const created = await Promise.all(
        clients.map((client) => client.call("create_agent", { name: "a" })),
      );
      expect(created.every(({ isError }) => isError !== true)).toBe(true);
      const expected = before + (round + 1) * clients.length;
      expect(await Promise.all(clients.map(count))).toEqual(clients.map(() => expected));
    }
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe("the operations listener", () => {
  test("answers /healthz, /readyz, /stats and /metrics with what the clients caused", async () => {
    const client = await connectHttp("2026", server.url);
    await client.call("list_agents");
    await client.call("list_agents");
    const get = async (path: string): Promise<Response> => fetch(`${server.opsUrl}${path}`);
    expect(await (await get("/healthz")).json()).toEqual({ status: "ok" });
    expect(await (await get("/readyz")).json()).toEqual({ status: "ready" });
    expect(await (await get("/stats")).json()).toMatchObject({ cache: { verifyMismatches: 0 } });
    const text = await (await get("/metrics")).text();
    expect(text).toMatch(/^cache_hits_total(\{[^}]*\})? [1-9]\d*$/m);
    expect(text).toMatch(
      /^mcp_server_operation_duration_seconds_count\{[^}]*gen_ai_tool_name="list_agents"[^}]*\} [1-9]/m,
    );
    expect((await get("/nothing")).status).toBe(404);
    expect((await fetch(`${server.opsUrl}/stats`, { method: "POST" })).status).toBe(405);
    await client.close();
  });
});

async function count(client: TestClient): Promise<number> {
  const listed = await client.call("list_agents", { limit: 500 });
  return structured<{ agents: unknown[] }>(listed).agents.length;
}
