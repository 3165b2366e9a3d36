import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";

const AGENTS = 200;
const TASKS = 20_000;
const BATCH = 1_000;

/** Fills a new database with a swarm of 200 agents and 20,000 tasks. @returns the swarm's id */
export async function seed(file: string): Promise<string> {
  const store = new SqliteSwarmStore(file);
  try {
    const { swarm, agents } = await store.createSwarm({ name: "demo", goal: "", size: AGENTS });
    for (let done = 0; done < TASKS; done += BATCH)
      await store.assignTasks(
        Array.from({ length: BATCH }, (_, index) => ({
          title: `task ${done + index}`,
          agentId: agents[(done + index) % AGENTS]?.id,
        })),
      );
    return swarm.id;
  } finally {
    await store[Symbol.asyncDispose]();
  }
}
