import type { Call } from "./clients.ts";

/** One kind of traffic: every client repeats `step` for the length of a slice. */
export interface Scenario {
  readonly title: string;
  readonly unit: string;
  /** Does one piece of work and returns how many units it was. */
  readonly step: (call: Call, world: World) => Promise<number>;
}

/** What the scenarios work on; made anew in each server. */
export interface World {
  readonly swarmId: string;
  readonly upstreamUrl: string;
  /** Reads that missed a write which was acknowledged before they began. */
  staleReads: number;
}

const BULK = 200;

export const scenarios: readonly Scenario[] = [
  {
    title: "list_agents",
    unit: "reads",
    step: async (call, { swarmId }) => {
      await call("list_agents", { swarmId, limit: 100 });
      return 1;
    },
  },
  {
    title: "agent_workload",
    unit: "reads",
    step: async (call) => {
      await call("agent_workload");
      return 1;
    },
  },
  {
    title: "9 reads a write",
    unit: "calls",
    step: mixed,
  },
  {
    title: "assign_task, at once",
    unit: "tasks",
    step: async (call, { swarmId }) => {
      const tasks = Array.from({ length: 16 }, async () =>
        call("assign_task", { title: "single", swarmId }),
      );
      return (await Promise.all(tasks)).length;
    },
  },
  {
    title: `assign_tasks of ${BULK}`,
    unit: "tasks",
    step: async (call, { swarmId }) => {
      const tasks = Array.from({ length: BULK }, () => ({ title: "bulk", swarmId }));
      await call("assign_tasks", { tasks });
      return BULK;
    },
  },
  {
    title: "fetch_url",
    unit: "pages",
    step: async (call, { upstreamUrl }) => {
      await call("fetch_url", { url: upstreamUrl });
      return 1;
    },
  },
];

const READS = 9;

/** Creates an agent, reads it, retires it and reads it again; a read that misses an acknowledged write is stale. */
async function mixed(call: Call, world: World): Promise<number> {
  const { agent } = (await call("create_agent", { name: "demo" })) as { agent: { id: string } };
  await readAgent(call, world, agent.id, "active");
  await call("retire_agent", { agentId: agent.id });
  await readAgent(call, world, agent.id, "retired");
  return 2 * (READS + 1);
}

async function readAgent(
  call: Call,
  world: World,
  agentId: string,
  expected: string,
): Promise<void> {
  for (let reads = 0; reads < READS; reads += 1) {
    const { agent } = (await call("get_agent", { agentId })) as { agent: { status: string } };
    if (agent.status !== expected) world.staleReads += 1;
  }
}
