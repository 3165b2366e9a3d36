import { z } from "zod";
import { id, longText, newTask, nextCursor, pageInput, task, taskStatus } from "./schemas.ts";
import type { Services } from "./services.ts";
import { additive, defineTool, readOnly, type Tool } from "./tool.ts";

export function taskTools({ store, bulk }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "assign_task",
      title: "Assign a task",
      description:
        "Creates a task and assigns it to an agent; without agentId to the least loaded active one.",
      input: newTask,
      output: z.object({ task }),
      annotations: additive,
      tier: "fast",
      run: async (input, { signal }) => ({ task: await bulk.assign(input, signal) }),
    }),
    defineTool({
      name: "complete_task",
      title: "Complete a task",
      description: "Marks an assigned task as done or failed, with its result.",
      input: z.strictObject({
        taskId: id("The task's id"),
        outcome: z.enum(["done", "failed"]).default("done"),
        result: longText("What came out of it").optional(),
      }),
      output: z.object({ task }),
      annotations: additive,
      tier: "fast",
      run: async ({ taskId, outcome, result }) => ({
        task: await store.completeTask(taskId, outcome, result),
      }),
    }),
    defineTool({
      name: "list_tasks",
      title: "List tasks",
      description: "Lists tasks, oldest first, page by page.",
      input: z.strictObject({
        ...pageInput,
        status: taskStatus.optional().describe("Only tasks of this status"),
        agentId: id("Only tasks of this agent").optional(),
        swarmId: id("Only tasks of this swarm").optional(),
      }),
      output: z.object({ tasks: z.array(task), nextCursor }),
      annotations: readOnly,
      tier: "fast",
      cacheTags: () => ["tasks"],
      run: async ({ limit, cursor, ...filter }) => {
        const page = await store.listTasks(filter, { limit, cursor });
        return { tasks: [...page.items], nextCursor: page.nextCursor };
      },
    }),
    defineTool({
      name: "get_task",
      title: "Get a task",
      description: "Returns one task.",
      input: z.strictObject({ taskId: id("The task's id") }),
      output: z.object({ task }),
      annotations: readOnly,
      tier: "fast",
      cacheTags: ({ taskId }) => [`task:${taskId}`],
      run: async ({ taskId }) => ({ task: await store.getTask(taskId) }),
    }),
  ];
}
