import { afterEach, describe, expect, test } from "vitest";
import { compose, type Composition } from "../src/compose.ts";
import type { ToolResult } from "../src/host/tool-runtime.ts";
import { createLogger } from "../src/log.ts";
import { callContext } from "./support/call-context.ts";
import { testConfig } from "./support/servers.ts";

/** Escaped, it takes six times its length. */
const long = (length: number): string => "\u0001".repeat(length);
const least = { "guard-stream-max-memory-bytes": "524288" };
const LEAST_RESULT_BYTES = 131_072;
const DEFAULT_RESULT_BYTES = 2_097_152;

let composition: Composition;
afterEach(() => composition[Symbol.asyncDispose]());

function start(flags: Record<string, string> = {}): void {
  composition = compose(testConfig(flags), createLogger("silent"));
}

async function call(name: string, args: object = {}): Promise<ToolResult> {
  return composition.host.runtime.call(name, args, callContext);
}

async function data<T>(name: string, args: object = {}): Promise<T> {
  const { structuredContent, content } = await call(name, args);
  if (structuredContent === undefined) throw new Error(`${name} failed: ${content[0]?.text}`);
  return structuredContent as T;
}

type Outcome = { ok: boolean; taskId?: string; error?: { code: string; message: string } };
type Assigned = { assigned: number; failed: number; results: Outcome[] };
type Batch = {
  succeeded: number;
  results: { ok: boolean; result?: ToolResult; error?: { code: string; message: string } }[];
};

async function everyTaskId(limit = 100): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: { tasks: { id: string }[]; nextCursor: string | null } = await data("list_tasks", {
      limit,
      ...(cursor !== null && { cursor }),
    });
    ids.push(...page.tasks.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}

const adviceIn = ({ content }: ToolResult): number =>
  Number(/Send at most (\d+) tasks at once/.exec(content[0]?.text ?? "")?.[1]);

describe.each([{ "features-batch": "on" }, { "features-batch": "off" }])("with %j", (feature) => {
  test.each([
    ["long ids", "z".repeat(100)],
    ["ids that escape to six times their length", long(100)],
  ])("assign_tasks tells every outcome of 10,000 tasks, with %s", async (_, agentId) => {
    start(feature);
    await call("create_agent", { name: "Ada" });
    const tasks = Array.from({ length: 10_000 }, (__, index) =>
      index % 100 === 0 ? { title: "t" } : { title: "t", agentId },
    );
    const result = await data<Assigned>("assign_tasks", { tasks });
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(DEFAULT_RESULT_BYTES);
    expect(result).toMatchObject({ assigned: 100, failed: 9_900 });
    expect(result.results).toHaveLength(10_000);
    for (const [index, { ok, error }] of result.results.entries())
      expect(ok ? "ok" : error?.code).toBe(index % 100 === 0 ? "ok" : "AGENT_NOT_FOUND");
    expect(result.results[1]?.error?.message).toContain("list_agents shows");
    expect(result.results.flatMap(({ taskId }) => taskId ?? [])).toEqual(await everyTaskId());
  });

  test("assign_tasks stores nothing when its outcomes cannot fit, and its advice works", async () => {
    start({ ...feature, ...least });
    await call("create_agent", { name: "Ada" });
    const tasks = Array.from({ length: 3_000 }, () => ({ title: "t" }));
    const refused = await call("assign_tasks", { tasks });
    expect(refused.content[0]?.text).toMatch(/^RESULT_TOO_LARGE: assign_tasks changed nothing: /);
    expect(await everyTaskId()).toEqual([]);
    const most = adviceIn(refused);
    const told: Outcome[] = [];
    for (let from = 0; from < tasks.length; from += most) {
      const part = { tasks: tasks.slice(from, from + most) };
      told.push(...(await data<Assigned>("assign_tasks", part)).results);
    }
    expect(told.map(({ taskId }) => taskId)).toEqual(await everyTaskId());
  });

  test("batch_call tells every id of what its calls stored", async () => {
    start({ ...feature, ...least });
    await call("create_agent", { name: "Ada" });
    const tasks = Array.from({ length: 100 }, () => ({ title: "t" }));
    const batch = await data<Batch>("batch_call", {
      calls: [
        ...Array.from({ length: 30 }, () => ({ name: "assign_tasks", arguments: { tasks } })),
        { name: "list_tasks", arguments: { limit: 500 } },
        { name: "get_agent", arguments: { agentId: long(100) } },
        ...Array.from({ length: 8 }, () => ({
          name: "assign_task",
          arguments: { title: "t", description: long(10_000) },
        })),
      ],
    });
    expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThanOrEqual(LEAST_RESULT_BYTES);
    const told = batch.results.flatMap(({ result }, index) => {
      const content = result?.structuredContent;
      if (index < 30)
        return ((content as Assigned | undefined)?.results ?? []).map((r) => r.taskId);
      return (content?.["task"] as { id: string } | undefined)?.id ?? [];
    });
    expect(new Set(told)).toEqual(new Set(await everyTaskId(2)));
    expect(new Set(told).size).toBe(told.length);
    const failures = batch.results.slice(0, 30).filter(({ ok }) => !ok);
    expect(failures.length).toBeGreaterThan(0);
    for (const { result, error } of failures)
      expect(error?.code ?? result?.content[0]?.text).toMatch(/^RESULT_TOO_LARGE/);
    for (const { ok, error } of batch.results.slice(32)) {
      expect(ok).toBe(true);
      expect(error?.message).toMatch(/^It was done; do not repeat it/);
    }
  });

  test("batch_call keeps the code of every call that failed", async () => {
    start({ ...feature, ...least });
    const calls = Array.from({ length: 100 }, (_, index) =>
      index % 2 === 0
        ? { name: "get_agent", arguments: { agentId: long(100) } }
        : { name: "get_agent", arguments: { [long(2_000)]: 1 } },
    );
    const { results } = await data<Batch>("batch_call", { calls });
    const codes = results.map(
      ({ error, result }) => error?.code ?? /^\w+/.exec(result?.content[0]?.text ?? "")?.[0],
    );
    expect(codes).toEqual(
      calls.map((_, index) => (index % 2 === 0 ? "AGENT_NOT_FOUND" : "INVALID_ARGUMENTS")),
    );
  });
});

test("create_swarm and scale_swarm change nothing when their result cannot fit, and smaller steps work", async () => {
  start(least);
  const refused = await call("create_swarm", { name: long(200), size: 1_000 });
  expect(refused.content[0]?.text).toMatch(/^RESULT_TOO_LARGE: create_swarm changed nothing: /);
  expect((await data<{ agents: [] }>("list_agents")).agents).toEqual([]);
  expect((await composition.host.resources.list()).resources).toEqual([]);

  const made = await data<{ swarm: { id: string } }>("create_swarm", { name: "s", size: 0 });
  const swarmId = made.swarm.id;
  const grow = await call("scale_swarm", { swarmId, size: 1_000 });
  expect(grow.content[0]?.text).toMatch(/^RESULT_TOO_LARGE: scale_swarm changed nothing: /);
  const told: unknown[] = [];
  for (const size of [250, 500, 750, 1_000])
    told.push(...(await data<{ created: [] }>("scale_swarm", { swarmId, size })).created);
  expect(told).toHaveLength(1_000);
  const shrink = await call("scale_swarm", { swarmId, size: 0 });
  expect(shrink.content[0]?.text).toMatch(/^RESULT_TOO_LARGE: /);
  expect(await data("swarm_status", { swarmId })).toMatchObject({
    swarm: { size: 1_000 },
    agents: { active: 1_000, retired: 0 },
  });
});

test("the longest texts that a tool takes come back from every tool that returns them", async () => {
  start(least);
  await data("create_agent", { name: long(200), role: long(200) });
  await data("create_swarm", { name: long(200), goal: long(10_000), size: 10 });
  const { task } = await data<{ task: { id: string } }>("assign_task", {
    title: long(200),
    description: long(10_000),
  });
  await data("complete_task", { taskId: task.id, result: long(10_000) });
  expect(await data("get_task", { taskId: task.id })).toMatchObject({
    task: { description: long(10_000), result: long(10_000) },
  });
});
