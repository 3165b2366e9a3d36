import type {
  Agent,
  AgentStatus,
  AgentWorkload,
  NewAgent,
  NewSwarm,
  NewTask,
  Page,
  PageRequest,
  Swarm,
  SwarmStatus,
  Task,
  TaskStatus,
} from "./types.ts";

/**
 * Where the swarm's state lives. A write that resolved is durable.
 * Methods reject with `SwarmError` when the state does not allow the request, and with `StoreBusyError` when another process
 * holds the database for longer than they wait.
 */
export interface SwarmStore extends AsyncDisposable {
  createAgent(agent: NewAgent): Promise<Agent>;
  getAgent(id: string): Promise<Agent>;
  listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>>;
  retireAgent(id: string): Promise<Agent>;
  agentWorkload(filter: {
    readonly swarmId?: string | undefined;
  }): Promise<readonly AgentWorkload[]>;

  /** One transaction for all; a task that cannot be assigned is an Error in its place and does not hinder the others. */
  assignTasks(tasks: readonly NewTask[]): Promise<readonly (Task | Error)[]>;
  getTask(id: string): Promise<Task>;
  listTasks(filter: TaskFilter, page: PageRequest): Promise<Page<Task>>;
  completeTask(id: string, outcome: "done" | "failed", result?: string): Promise<Task>;
  /** Every matching task in order of creation, read page by page so that other work goes on in between. */
  exportTasks(filter: TaskFilter): AsyncIterable<Task>;

  /** `review` sees the result before anything is durable; what it throws undoes all of it. */
  createSwarm(swarm: NewSwarm, review?: (made: SwarmMade) => void): Promise<SwarmMade>;
  /** Creates agents up to `size`, or retires the youngest without open tasks down to it. `review` as in `createSwarm`. */
  scaleSwarm(
    id: string,
    size: number,
    review?: (scaling: SwarmScaling) => void,
  ): Promise<SwarmScaling>;
  swarmStatus(id: string): Promise<SwarmStatus>;
  listSwarms(page: PageRequest): Promise<Page<Swarm>>;

  /** Changes whenever another process changed the state; cheap enough to ask before every cached read. */
  version(): number;
  /** Refuses the writes that wait, and those that come. */
  stopWriting(): void;
  /** Rejects when a table is missing or its ends cannot be read; cheap enough to ask for readiness. */
  probe(): Promise<void>;
}

export interface AgentFilter {
  readonly status?: AgentStatus | undefined;
  readonly swarmId?: string | undefined;
}
export interface TaskFilter {
  readonly status?: TaskStatus | undefined;
  readonly agentId?: string | undefined;
  readonly swarmId?: string | undefined;
}
export interface SwarmMade {
  readonly swarm: Swarm;
  readonly agents: readonly Agent[];
}
export interface SwarmScaling {
  readonly swarm: Swarm;
  readonly created: readonly Agent[];
  readonly retired: readonly Agent[];
  /** Agents above `size` that still have open tasks and therefore stay. */
  readonly busy: number;
}
