import { z } from "zod";
import { agent, agentStatus, id, nextCursor, pageInput, shortText } from "./schemas.ts";
import type { Services } from "./services.ts";
import { additive, defineTool, destructive, readOnly, type Tool } from "./tool.ts";

export function agentTools({ store }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "create_agent",
      title: "Create an agent",
      description: "Creates an active agent, in a swarm when one is named.",
      input: z.strictObject({
        name: shortText("The agent's name"),
        role: shortText("What the agent does, for example researcher").default("worker"),
        swarmId: id("The swarm the agent joins").optional(),
      }),
      output: z.object({ agent }),
      annotations: additive,
      tier: "fast",
      run: async (input) => ({ agent: await store.createAgent(input) }),
    }),
    defineTool({
      name: "list_agents",
      title: "List agents",
      description: "Lists agents, oldest first, page by page.",
      input: z.strictObject({
        ...pageInput,
        status: agentStatus.optional().describe("Only agents of this status"),
        swarmId: id("Only agents of this swarm").optional(),
      }),
      output: z.object({ agents: z.array(agent), nextCursor }),
      annotations: readOnly,
      tier: "fast",
      cacheTags: () => ["agents"],
      run: async ({ limit, cursor, ...filter }) => {
        const page = await store.listAgents(filter, { limit, cursor });
        return { agents: [...page.items], nextCursor: page.nextCursor };
      },
    }),
    defineTool({
      name: "get_agent",
      title: "Get an agent",
      description: "Returns one agent.",
      input: z.strictObject({ agentId: id("The agent's id") }),
      output: z.object({ agent }),
      annotations: readOnly,
      tier: "fast",
      cacheTags: ({ agentId }) => [`agent:${agentId}`],
      run: async ({ agentId }) => ({ agent: await store.getAgent(agentId) }),
    }),
    defineTool({
      name: "retire_agent",
      title: "Retire an agent",
      description:
        "Retires an agent for good: it takes no more tasks. Its open tasks stay assigned to it and can still be completed. Retiring it again changes nothing.",
      input: z.strictObject({ agentId: id("The agent's id") }),
      output: z.object({ agent }),
      annotations: destructive,
      tier: "fast",
      run: async ({ agentId }) => ({ agent: await store.retireAgent(agentId) }),
    }),
    defineTool({
      name: "agent_workload",
      title: "Workload of the agents",
      description:
        "Counts open, done and failed tasks of up to 1,000 active agents, busiest first.",
      input: z.strictObject({ swarmId: id("Only agents of this swarm").optional() }),
      output: z.object({
        agents: z.array(
          z.object({
            agentId: z.string(),
            name: z.string(),
            open: z.number(),
            done: z.number(),
            failed: z.number(),
          }),
        ),
      }),
      annotations: readOnly,
      tier: "fast",
      cacheTags: () => ["agent_workload"],
      run: async (filter) => ({ agents: [...(await store.agentWorkload(filter))] }),
    }),
  ];
}
