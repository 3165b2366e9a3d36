import { afterEach, beforeEach, expect, test } from "vitest";
import { compose, type Composition } from "../src/compose.ts";
import { createLogger } from "../src/log.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import type { ToolContext } from "../src/tools/tool.ts";
import { testConfig } from "./support/servers.ts";

const context = (signal: AbortSignal): ToolContext => ({
  signal,
  principal: "local",
  transport: "http",
  protocolVersion: undefined,
  wantsProgress: false,
  progress: async () => {},
});
const never = new AbortController().signal;
const prototype: Pick<SqliteSwarmStore, "assignTasks"> = SqliteSwarmStore.prototype;
const original = Object.getOwnPropertyDescriptor(prototype, "assignTasks")
  ?.value as typeof prototype.assignTasks;

let composition: Composition;
let cancel: AbortController;
beforeEach(() => {
  composition = compose(testConfig(), createLogger("silent"));
  cancel = new AbortController();
  // The caller gives up at the worst time: the tasks are stored, and nobody has been told.
  prototype.assignTasks = async function assignAndCancel(this: SqliteSwarmStore, tasks) {
    const outcomes = await original.call(this, tasks);
    cancel.abort();
    return outcomes;
  };
});
afterEach(async () => {
  prototype.assignTasks = original;
  await composition[Symbol.asyncDispose]();
});

test.each([
  ["assign_task", { title: "t" }],
  ["assign_tasks", { tasks: [{ title: "t" }] }],
])(
  "a read after a cancelled %s shows the task that was stored all the same",
  async (tool, args) => {
    const { runtime } = composition.host;
    const tasks = async (): Promise<unknown> =>
      (await runtime.call("list_tasks", {}, context(never))).structuredContent?.["tasks"];
    await runtime.call("create_agent", { name: "worker" }, context(never));
    expect(await tasks()).toHaveLength(0);
    await runtime.call(tool, args, context(cancel.signal));
    expect(cancel.signal.aborted).toBe(true);
    expect(await tasks()).toHaveLength(1);
  },
);
