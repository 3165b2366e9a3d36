import type { SwarmEvent } from "../swarm/events.ts";

type Rules = {
  readonly [T in SwarmEvent["type"]]: (
    event: Extract<SwarmEvent, { type: T }>,
  ) => readonly string[];
};

/** Which cached results a change makes wrong. The read tools name these tags in their `cacheTags`. */
export const cacheRules: Rules = {
  agentCreated: ({ agentId }) => ["agents", `agent:${agentId}`, "agent_workload", "swarm_status"],
  agentRetired: ({ agentId }) => ["agents", `agent:${agentId}`, "agent_workload", "swarm_status"],
  taskAssigned: ({ taskId }) => ["tasks", `task:${taskId}`, "agent_workload", "swarm_status"],
  taskCompleted: ({ taskId }) => ["tasks", `task:${taskId}`, "agent_workload", "swarm_status"],
  swarmCreated: () => ["swarm_status"],
  swarmScaled: () => ["swarm_status"],
  toolStateChanged: ({ toolName }) => [`tool:${toolName}`],
};
