/** The domain: swarms hold agents, agents work on tasks. Times are ISO 8601 in UTC. */

export interface Agent {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly status: AgentStatus;
  readonly swarmId: string | null;
  readonly createdAt: string;
  readonly retiredAt: string | null;
}
export type AgentStatus = "active" | "retired";

export interface Task {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly status: TaskStatus;
  /** 0 (lowest) to 9 (highest). */
  readonly priority: number;
  readonly agentId: string;
  readonly swarmId: string | null;
  readonly result: string | null;
  readonly createdAt: string;
  readonly completedAt: string | null;
}
export type TaskStatus = "assigned" | "done" | "failed";

export interface Swarm {
  readonly id: string;
  readonly name: string;
  readonly goal: string;
  readonly size: number;
  readonly createdAt: string;
}

export interface SwarmStatus {
  readonly swarm: Swarm;
  readonly agents: Readonly<Record<AgentStatus, number>>;
  readonly tasks: Readonly<Record<TaskStatus, number>>;
}

export interface AgentWorkload {
  readonly agentId: string;
  readonly name: string;
  readonly open: number;
  readonly done: number;
  readonly failed: number;
}

export interface NewAgent {
  readonly name: string;
  readonly role: string;
  readonly swarmId?: string | undefined;
}

/** Without `agentId` the least loaded active agent (of the swarm, when one is named) takes the task; it belongs to that agent's swarm. */
export interface NewTask {
  readonly title: string;
  readonly description?: string | undefined;
  readonly priority?: number | undefined;
  readonly agentId?: string | undefined;
  readonly swarmId?: string | undefined;
}

export interface NewSwarm {
  readonly name: string;
  readonly goal: string;
  readonly size: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass it back as `cursor` for the next page; null on the last one. */
  readonly nextCursor: string | null;
}
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}
