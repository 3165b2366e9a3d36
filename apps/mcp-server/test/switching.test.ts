import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { compose, type Composition } from "../src/compose.ts";
import type { Config } from "../src/config/options.ts";
import { SwarmEvents } from "../src/swarm/events.ts";
import type { ToolContext, ProgressUpdate } from "../src/tools/tool.ts";
import { callContext } from "./support/call-context.ts";
import { linesLogger } from "./support/lines-logger.ts";
import { testConfig } from "./support/servers.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Running {
  readonly composition: Composition;
  readonly lines: Record<string, unknown>[];
  #config: Config;

  constructor(flags: Readonly<Record<string, string>> = {}) {
    const { logger, lines } = linesLogger();
    this.#config = testConfig(flags);
    this.lines = lines;
    this.composition = compose(this.#config, logger);
    onTestFinished(() => this.composition[Symbol.asyncDispose]());
  }

  change(changes: Partial<Config>): void {
    const wanted = { ...this.#config, ...changes };
    this.composition.apply(wanted, Object.keys(changes));
    this.#config = wanted;
  }

  async call(name: string, args: object = {}, context?: Partial<ToolContext>): Promise<any> {
    const { runtime } = this.composition.host;
    const result = await runtime.call(name, args, { ...callContext, ...context });
    return result.structuredContent ?? result.content[0]?.text;
  }

  async stats(feature: string): Promise<Record<string, any>> {
    return (await this.composition.operations.stats())[feature] as Record<string, any>;
  }
}

describe("the cache", () => {
  test("is empty after it was off, so that what was written meanwhile is seen", async () => {
    const server = new Running();
    const { agent } = await server.call("create_agent", { name: "Ada" });
    const read = async (): Promise<string> =>
      (await server.call("get_agent", { agentId: agent.id })).agent.status;
    expect([await read(), await read()]).toEqual(["active", "active"]);
    expect(await server.stats("cache")).toMatchObject({ hits: 1, entries: 1 });
    server.change({ "features.cache": "off" });
    expect(await server.stats("cache")).toEqual({ feature: "off" });
    await server.call("retire_agent", { agentId: agent.id });
    expect(await read()).toBe("retired");
    server.change({ "features.cache": "on" });
    expect(await server.stats("cache")).toMatchObject({ hits: 0, entries: 0 });
    expect([await read(), await read()]).toEqual(["retired", "retired"]);
    expect(await server.stats("cache")).toMatchObject({ hits: 1, misses: 1 });
    expect(server.lines).toEqual([]);
  });

  test("hears of writes after it was switched on again", async () => {
    const server = new Running({ "features-cache": "off" });
    server.change({ "features.cache": "on" });
    expect((await server.call("list_agents")).agents).toEqual([]);
    await server.call("create_agent", { name: "Ada" });
    expect((await server.call("list_agents")).agents).toHaveLength(1);
  });

  test("takes new limits at once", async () => {
    const server = new Running();
    server.change({ "cache.maxEntries": 2 });
    for (let n = 0; n < 5; n += 1) await server.call("list_tasks", { limit: n + 1 });
    expect((await server.stats("cache"))["entries"]).toBeLessThanOrEqual(2);
  });
});

describe("the shadow of the cache", () => {
  test("serves nothing, and counts and names what would have been wrong", async () => {
    const server = new Running({ "features-cache": "shadow" });
    const { agent } = await server.call("create_agent", { name: "Ada" });
    const read = async (): Promise<string> =>
      (await server.call("get_agent", { agentId: agent.id })).agent.status;
    await read();
    await read();
    await turn();
    expect((await server.stats("cache"))["shadow"]).toEqual({
      compared: 1,
      mismatches: 0,
      inconclusive: 0,
    });
    // A write that no event told of is what a shadow is there to find.
    await writeInSilence(server, agent.id);
    expect(await read()).toBe("retired");
    await turn();
    await turn();
    expect((await server.stats("cache"))["shadow"]).toMatchObject({ compared: 2, mismatches: 1 });
    expect(server.lines).toEqual([
      { level: 40, tool: "get_agent", msg: "the cache would have served what is no longer true" },
    ]);
  });

  test("answers as the plain server when a tool fails, and leaves no rejection", async () => {
    const server = new Running({ "features-cache": "shadow" });
    for (let n = 0; n < 2; n += 1)
      expect(await server.call("get_agent", { agentId: "nobody" })).toMatch(/^AGENT_NOT_FOUND: /);
    await turn();
    expect((await server.stats("cache"))["shadow"]).toMatchObject({ compared: 0 });
  });

  test("begins empty when it is switched on, so that nothing of the shadow is served", async () => {
    const server = new Running({ "features-cache": "shadow" });
    await server.call("list_agents");
    server.change({ "features.cache": "on" });
    await server.call("list_agents");
    expect(await server.stats("cache")).toMatchObject({ hits: 0, misses: 1 });
    expect(await server.stats("cache")).not.toHaveProperty("shadow");
  });
});

/** Retires an agent, and nobody hears of it. */
async function writeInSilence(server: Running, agentId: string): Promise<void> {
  const spy = vi.spyOn(SwarmEvents.prototype, "publish").mockResolvedValue();
  await server.call("retire_agent", { agentId });
  spy.mockRestore();
}

test("a page that is being read comes whole when the pool is switched off meanwhile", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let connections = 0;
  const upstream = createServer((_request, response) => {
    response.setHeader("content-type", "text/plain").write("first ");
    begun.resolve();
    void gate.promise.then(() => response.end("second"));
  }).on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void upstream.close());
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`;
  const server = new Running({ "fetch-allow-private": "true" });
  const page = server.call("fetch_url", { url });
  await begun.promise;
  await turn();
  server.change({ "features.pool": "off" });
  expect(await server.stats("pool")).toEqual({ feature: "off" });
  await turn();
  gate.resolve();
  expect(await page).toMatchObject({ text: "first second" });
  for (let n = 0; n < 2; n += 1) await server.call("fetch_url", { url });
  expect(connections).toBe(3);
  server.change({ "features.pool": "on" });
  for (let n = 0; n < 3; n += 1) await server.call("fetch_url", { url });
  expect(connections).toBe(4);
});

test("tasks that are being written are all written when the batcher is switched off meanwhile", async () => {
  const server = new Running();
  await server.call("create_agent", { name: "Ada" });
  const tasks = Array.from({ length: 1_200 }, (_, n) => ({ title: `t${n}` }));
  const many = server.call("assign_tasks", { tasks });
  await turn();
  server.change({ "features.batch": "off" });
  expect(await server.stats("batch")).toEqual({ feature: "off" });
  expect(await many).toMatchObject({ assigned: 1_200, failed: 0 });
  expect(await server.call("assign_tasks", { tasks: tasks.slice(0, 3) })).toMatchObject({
    assigned: 3,
  });
  server.change({ "features.batch": "on" });
  await server.call("assign_task", { title: "one" });
  expect(await server.stats("batch")).not.toHaveProperty("feature");
});

test("an export goes on in its own budget when the guard is switched off meanwhile", async () => {
  const server = new Running();
  await server.call("create_agent", { name: "Ada" });
  const tasks = Array.from({ length: 2_000 }, (_, n) => ({ title: `task ${n}` }));
  await server.call("assign_tasks", { tasks });
  const seen: ProgressUpdate[] = [];
  const gate = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  const progress = async (update: ProgressUpdate): Promise<void> => {
    seen.push(update);
    first.resolve();
    await gate.promise;
  };
  const exporting = server.call(
    "export_tasks",
    { delivery: "progress" },
    { wantsProgress: true, progress },
  );
  await first.promise;
  server.change({ "features.guard": "off" });
  expect(await server.stats("guard")).toEqual({ feature: "off" });
  await turn();
  gate.resolve();
  expect(await exporting).toMatchObject({ rows: 2_000, chunks: seen.length });
  server.change({ "features.guard": "on", "guard.stallTimeoutMs": 100 });
  expect(await server.stats("guard")).toMatchObject({ sessions: 0 });
});

const text = async (server: Running): Promise<string | undefined> =>
  (await server.composition.operations.metrics(undefined))?.body;
const count = (body: string | undefined, series: RegExp): number =>
  Number(series.exec(body ?? "")?.[1] ?? Number.NaN);

describe("the metrics", () => {
  test("read the cache that is in use, and go on with the features that did not change", async () => {
    const server = new Running();
    await server.call("list_agents");
    await server.call("create_agent", { name: "Ada" });
    await server.call("assign_task", { title: "one" });
    const assigned = /^batcher_\w*duration_seconds_count\S* (\d+)/m;
    const before = count(await text(server), assigned);
    expect(await text(server)).toMatch(/^cache_misses_total\S* 1$/m);
    server.change({ "features.cache": "off" });
    expect(await text(server)).not.toMatch(/^cache_misses_total\S* \d/m);
    server.change({ "features.cache": "on" });
    expect(await text(server)).toMatch(/^cache_misses_total\S* 0$/m);
    await server.call("list_tasks");
    expect(await text(server)).toMatch(/^cache_misses_total\S* 1$/m);
    expect(count(await text(server), assigned)).toBe(before);
    expect(before).toBeGreaterThan(0);
  });

  test("switched on, read every feature that is on; switched off, there are none", async () => {
    const server = new Running({ "features-metrics": "off" });
    expect(await text(server)).toBeUndefined();
    server.change({ "features.metrics": "on", "features.batch": "off" });
    await server.call("list_agents");
    expect(await text(server)).toMatch(/^cache_misses_total\S* 1$/m);
    server.change({ "features.metrics": "off" });
    expect(await text(server)).toBeUndefined();
    server.change({ "features.metrics": "on" });
    expect(await text(server)).toMatch(/^cache_misses_total\S* 1$/m);
  });
});

test("a configuration that one feature does not take changes none", async () => {
  const server = new Running();
  await server.call("list_agents");
  expect(() => {
    server.change({
      "features.cache": "off",
      "features.pool": "off",
      "batch.maxSize": -1,
    });
  }).toThrow(/maxBatchSize/);
  await server.call("list_agents");
  expect(await server.stats("cache")).toMatchObject({ hits: 1 });
  expect(await server.stats("pool")).not.toHaveProperty("feature");
  expect(server.lines).toEqual([]);
});

test("an option of no feature replaces none", async () => {
  const server = new Running();
  await server.call("list_agents");
  server.change({ "log.level": "debug" });
  await server.call("list_agents");
  expect(await server.stats("cache")).toMatchObject({ hits: 1 });
});
