import { z } from "zod";

const name = (what: string): z.ZodString => z.string().min(1).max(200).describe(what);

export const id = (what: string): z.ZodString => z.string().min(1).max(100).describe(what);
export const shortText = name;
export const longText = (what: string): z.ZodString => z.string().max(10_000).describe(what);

export const agentStatus: z.ZodEnum<{ active: "active"; retired: "retired" }> = z.enum([
  "active",
  "retired",
]);
export const taskStatus: z.ZodEnum<{ assigned: "assigned"; done: "done"; failed: "failed" }> =
  z.enum(["assigned", "done", "failed"]);

export const agent = z.object({
  id: z.string(),
  name: z.string(),
  role: z.string(),
  status: agentStatus,
  swarmId: z.string().nullable(),
  createdAt: z.string(),
  retiredAt: z.string().nullable(),
});

export const task = z.object({
  id: z.string(),
  title: z.string(),
  description: z.string(),
  status: taskStatus,
  priority: z.number(),
  agentId: z.string(),
  swarmId: z.string().nullable(),
  result: z.string().nullable(),
  createdAt: z.string(),
  completedAt: z.string().nullable(),
});

export const swarm = z.object({
  id: z.string(),
  name: z.string(),
  goal: z.string(),
  size: z.number().describe("Agents asked for when it was created or last scaled"),
  createdAt: z.string(),
});

export const newTask = z.strictObject({
  title: shortText("What is to be done"),
  description: longText("Details for the agent").optional(),
  priority: z
    .number()
    .int()
    .min(0)
    .max(9)
    .optional()
    .describe("0 (lowest) to 9 (highest), 5 when absent"),
  agentId: id("The agent that gets the task; the least loaded active one when absent").optional(),
  swarmId: id("The swarm the task is for; the agent's own when absent").optional(),
});

/** Cursor paging as the list methods of MCP have it. */
export const pageInput = {
  limit: z.number().int().min(1).max(500).default(50).describe("Items on a page"),
  cursor: z.string().max(100).optional().describe("nextCursor of the previous page"),
};
export const nextCursor = z
  .string()
  .nullable()
  .describe("Pass it as cursor for the next page; null on the last");
