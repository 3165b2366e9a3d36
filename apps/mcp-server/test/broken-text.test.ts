import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compose, type Composition } from "../src/compose.ts";
import { createLogger } from "../src/log.ts";
import { catalogue } from "../src/tools/catalogue.ts";
import type { Services } from "../src/tools/services.ts";
import { callContext } from "./support/call-context.ts";
import { testConfig } from "./support/servers.ts";

/** Half of a surrogate pair, as JSON may spell it. */
const half = JSON.parse('"a\\ud800b"') as string;

const inputs: Readonly<Record<string, readonly object[]>> = {
  create_agent: [{ name: half }, { name: "a", role: half }, { name: "a", swarmId: half }],
  list_agents: [{ swarmId: half }, { cursor: half }],
  get_agent: [{ agentId: half }],
  retire_agent: [{ agentId: half }],
  agent_workload: [{ swarmId: half }],
  assign_task: [{ title: half }, { title: "t", description: half }, { title: "t", agentId: half }],
  complete_task: [{ taskId: half }, { taskId: "t", result: half }],
  list_tasks: [{ swarmId: half }, { agentId: half }, { cursor: half }],
  get_task: [{ taskId: half }],
  assign_tasks: [{ tasks: [{ title: "t" }, { title: half }] }],
  batch_call: [
    { calls: [{ name: half }] },
    { calls: [{ name: "create_agent", arguments: { name: half } }] },
  ],
  export_tasks: [{ agentId: half }, { swarmId: half }],
  create_swarm: [{ name: half }, { name: "s", goal: half }],
  scale_swarm: [{ swarmId: half, size: 1 }],
  swarm_status: [{ swarmId: half }],
  watch_swarm: [{ swarmId: half }],
  fetch_url: [{ url: `https://example.com/${half}` }],
  cache_clear: [{ tags: ["a", half] }],
  server_stats: [],
};

let composition: Composition;
beforeAll(() => {
  composition = compose(testConfig(), createLogger("silent"));
});
afterAll(() => composition[Symbol.asyncDispose]());

test("every tool is here", () => {
  expect(catalogue({} as Services).map(({ name }) => name)).toEqual(Object.keys(inputs));
});

const cases = Object.entries(inputs).flatMap(([tool, all]) => all.map((args) => ({ tool, args })));

describe("text that is not well-formed Unicode", () => {
  test.each(cases)("is refused by $tool: $args", async ({ tool, args }) => {
    const { runtime } = composition.host;
    const { isError, content } = await runtime.call(tool, args, callContext);
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(/^INVALID_ARGUMENTS: .* was not run\. /);
    expect(content[0]?.text).toContain(
      "expected well-formed Unicode, got half of a surrogate pair",
    );
  });

  test("is named by its place", async () => {
    const args = { tasks: [{ title: "t" }, { title: "t", description: half }] };
    const { content } = await composition.host.runtime.call("assign_tasks", args, callContext);
    expect(content[0]?.text).toContain("tasks.1.description: expected well-formed Unicode");
  });

  test("is found at any depth", async () => {
    let nested: object = { text: half };
    for (let depth = 0; depth < 20_000; depth += 1) nested = { nested };
    const args = { calls: [{ name: "list_agents", arguments: nested }] };
    const { content } = await composition.host.runtime.call("batch_call", args, callContext);
    expect(content[0]?.text).toMatch(/^INVALID_ARGUMENTS: /);
  });
});

test("whole surrogate pairs are stored as they are", async () => {
  const { runtime } = composition.host;
  const made = await runtime.call("create_agent", { name: "🐝\u0000é" }, callContext);
  const agent = made.structuredContent?.["agent"] as { id: string } | undefined;
  const read = await runtime.call("get_agent", { agentId: agent?.id }, callContext);
  expect(read.structuredContent).toEqual(made.structuredContent);
  expect(read.structuredContent).toMatchObject({ agent: { name: "🐝\u0000é" } });
});
