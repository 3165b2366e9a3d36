import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectHttp, eras, type TestClient } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";

const tasks = (count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({
    title: `task ${index}`,
    description: "x".repeat(100),
  }));

describe.each(eras)("long operations over the %s protocol", (era) => {
  let server: TestServer;
  let client: TestClient;
  beforeEach(async () => {
    server = await startServer({ "guard-stream-max-memory-bytes": "524288" });
    client = await connectHttp(era, server.url);
    await client.call("create_agent", { name: "Ada" });
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  test("assign_tasks reports its progress up to the end", async () => {
    const seen: number[] = [];
    const { structuredContent } = await client.call(
      "assign_tasks",
      { tasks: tasks(350) },
      { onprogress: ({ progress, total }) => void seen.push(progress / (total ?? 0)) },
    );
    expect(structuredContent).toMatchObject({ assigned: 350, failed: 0 });
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  test("an export larger than the limit of one stream arrives whole as progress, and is refused as a result", async () => {
    await client.call("assign_tasks", { tasks: tasks(1_000) });
    const lines: string[] = [];
    const { structuredContent } = await client.call(
      "export_tasks",
      { delivery: "progress" },
      { onprogress: ({ message }) => void lines.push(...(message ?? "").trim().split("\n")) },
    );
    expect(structuredContent).toMatchObject({ rows: 1_000, data: null });
    expect(lines.map((line) => (JSON.parse(line) as { title: string }).title)).toEqual(
      Array.from({ length: 1_000 }, (_, index) => `task ${index}`),
    );
    const refused = await client.call("export_tasks");
    expect(refused.isError).toBe(true);
    expect(refused.content[0]?.text).toMatch(
      /^EXPORT_TOO_LARGE: .*larger than 131072 bytes\. Use delivery 'progress'/,
    );
  });

  test("watch_swarm returns when the swarm changes", async () => {
    const created = await client.call("create_swarm", { name: "s", size: 1 });
    const swarmId = structured<{ swarm: { id: string } }>(created).swarm.id;
    const watching = client.call("watch_swarm", { swarmId, timeoutMs: 60_000 });
    const other = await connectHttp(era, server.url);
    const first = async (): Promise<string> =>
      Promise.race([
        watching.then(() => "changed"),
        other.call("create_agent", { name: "b", swarmId }).then(() => "created"),
      ]);
    while ((await first()) !== "changed");
    expect((await watching).structuredContent).toMatchObject({ changed: true });
    await other.close();
  });

  test("a cancelled watch_swarm ends", async () => {
    const created = await client.call("create_swarm", { name: "s", size: 1 });
    const swarmId = structured<{ swarm: { id: string } }>(created).swarm.id;
    const cancel = new AbortController();
    const watching = client.call(
      "watch_swarm",
      { swarmId, timeoutMs: 60_000 },
      { signal: cancel.signal },
    );
    cancel.abort(new Error("changed my mind"));
    await expect(watching).rejects.toThrow(/changed my mind/);
    expect((await client.call("swarm_status", { swarmId })).isError).not.toBe(true);
  });
});
