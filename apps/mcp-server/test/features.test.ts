import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  connectHttp,
  eras,
  type CallResult,
  type Era,
  type TestClient,
} from "./support/clients.ts";
import { startServer, type Stats } from "./support/servers.ts";

const features = ["cache", "pool", "guard", "batch", "metrics"] as const;

let upstream: Server;
let upstreamUrl: string;
let connections = 0;
beforeAll(async () => {
  upstream = createServer((request, response) => {
    if (request.url === "/redirect") {
      response.writeHead(302, { location: "/page" }).end();
      return;
    }
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end("a page".repeat(100));
  }).on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});
afterAll(() => void upstream.close());

const switchedOff = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [`features-${name}`, "off"]));

/** One session that uses every tool; ids, times and counters are made comparable. */
async function script(era: Era, flags: Record<string, string>): Promise<string[]> {
  const server = await startServer({ ...flags, "fetch-allow-private": "true" });
  const client = await connectHttp(era, server.url);
  await client.client.listTools();
  try {
    return (await play(client)).map(comparable);
  } finally {
    await client.close();
    await server.close();
  }
}

type Data = Record<"swarm" | "agent" | "task", { id: string }>;

async function play(client: TestClient): Promise<CallResult[]> {
  const results: CallResult[] = [];
  const call = async (name: string, args: Record<string, unknown> = {}): Promise<Data> => {
    const result = await client.call(name, args);
    results.push(result);
    return (result.structuredContent ?? {}) as Data;
  };
  const { swarm } = await call("create_swarm", { name: "s", goal: "test", size: 2 });
  const swarmId = swarm.id;
  const { agent } = await call("create_agent", { name: "Ada", swarmId });
  const agentId = agent.id;
  for (let repeat = 0; repeat < 2; repeat += 1) {
    await call("list_agents", { swarmId });
    await call("get_agent", { agentId });
    await call("agent_workload", { swarmId });
    await call("swarm_status", { swarmId });
    await call("list_tasks");
  }
  const { task } = await call("assign_task", { title: "one", agentId });
  await call("assign_task", { title: "refused", agentId: "nobody" });
  await call("assign_tasks", {
    tasks: [
      ...Array.from({ length: 250 }, (_, n) => ({ title: `t${n}`, priority: n % 10 })),
      { title: "x", agentId: "nobody" },
    ],
  });
  await call("get_task", { taskId: task.id });
  await call("complete_task", { taskId: task.id, result: "done it" });
  await call("get_task", { taskId: task.id });
  await call("list_tasks", { limit: 3, status: "assigned" });
  await call("export_tasks", { status: "done" });
  await call("export_tasks", { delivery: "progress" });
  await call("scale_swarm", { swarmId, size: 5 });
  await call("swarm_status", { swarmId });
  await call("watch_swarm", { swarmId, timeoutMs: 0 });
  await call("batch_call", {
    calls: [
      { name: "get_agent", arguments: { agentId } },
      { name: "get_agent", arguments: { agentId: "nobody" } },
      { name: "no_such_tool" },
    ],
  });
  await call("retire_agent", { agentId });
  await call("list_agents", { swarmId });
  await call("fetch_url", { url: `${upstreamUrl}/redirect`, maxBytes: 10 });
  await call("fetch_url", { url: `${upstreamUrl}/page` });
  await call("cache_clear", { tags: ["agents"] });
  await call("cache_clear");
  return results;
}

function comparable(result: CallResult): string {
  const ids = new Map<string, string>();
  return JSON.stringify(result)
    .replaceAll(/(agent|task|swarm)_[0-9a-f]{16}/g, (id, kind: string) => {
      if (!ids.has(id)) ids.set(id, `${kind}#${ids.size}`);
      return ids.get(id)!;
    })
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
}

describe.each(eras)("every tool over the %s protocol", (era) => {
  let reference: string[];
  beforeAll(async () => (reference = await script(era, switchedOff(...features))));

  test("succeeds or fails as described", () => {
    const failures = reference.filter((result) => result.endsWith('"isError":true}'));
    expect(reference).toHaveLength(31);
    expect(failures.map((result) => /([A-Z]+(_[A-Z]+)+):/.exec(result)?.[1])).toEqual([
      "AGENT_NOT_FOUND",
      "PROGRESS_TOKEN_MISSING",
    ]);
  });

  test("answers the same with every optimisation on as with all of them off", async () => {
    expect(await script(era, {})).toEqual(reference);
  });

  test.each(features)("answers the same with only %s off", async (name) => {
    expect(await script(era, switchedOff(name))).toEqual(reference);
  });
});

describe("an optimisation that is off does nothing", () => {
  test("and one that is on does its part", async () => {
    const server = await startServer({ "fetch-allow-private": "true" });
    const client = await connectHttp("2025", server.url);
    const connectionsBefore = connections;
    for (let index = 0; index < 10; index += 1)
      await client.call("fetch_url", { url: upstreamUrl });
    const { pool, batch, guard } = (await server.stats()) as Stats & {
      batch: object;
      guard: object;
    };
    expect(connections - connectionsBefore).toBe(1);
    expect(pool).toMatchObject({ requests: 10, reused: 9 });
    expect(batch).not.toHaveProperty("feature");
    expect(guard).not.toHaveProperty("feature");
    await client.close();
    await server.close();
  });

  test("says so in the statistics", async () => {
    const server = await startServer({
      ...switchedOff(...features),
      "fetch-allow-private": "true",
    });
    const client = await connectHttp("2025", server.url);
    const connectionsBefore = connections;
    for (let index = 0; index < 3; index += 1) await client.call("fetch_url", { url: upstreamUrl });
    expect(connections - connectionsBefore).toBe(3);
    expect(await server.stats()).toMatchObject({
      cache: { feature: "off" },
      pool: { feature: "off" },
      guard: { feature: "off" },
      batch: { feature: "off" },
    });
    expect((await fetch(`${server.opsUrl}/metrics`)).status).toBe(404);
    await client.close();
    await server.close();
  });
});

describe.each([{ pool: "on" }, { pool: "off" }])("fetch_url with the pool $pool", ({ pool }) => {
  test.each([
    "URL/page",
    "http://localhost:PORT/",
    "http://[::1]:1/",
    "http://169.254.169.254/latest/",
  ])("does not reach %s unless the operator allows it", async (template) => {
    const server = await startServer({ "features-pool": pool });
    const client = await connectHttp("2025", server.url);
    const url = template.replace("URL", upstreamUrl).replace("PORT", new URL(upstreamUrl).port);
    const before = connections;
    const { isError, content } = await client.call("fetch_url", { url });
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(/ADDRESS_NOT_ALLOWED: /);
    expect(connections).toBe(before);
    await client.close();
    await server.close();
  });

  test.each([
    ["file:///etc/passwd", /^INVALID_ARGUMENTS: /],
    ["http://user:secret@example.com/", /^CREDENTIALS_IN_URL: /],
    ["nonsense", /^INVALID_ARGUMENTS: /],
  ])("refuses %s", async (url, message) => {
    const server = await startServer({ "features-pool": pool });
    const client = await connectHttp("2026", server.url);
    const { isError, content } = await client.call("fetch_url", { url });
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(message);
    expect(content[0]?.text).not.toContain("secret");
    await client.close();
    await server.close();
  });
});
