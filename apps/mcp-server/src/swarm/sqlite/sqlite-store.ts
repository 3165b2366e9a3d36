import type { DatabaseSync } from "node:sqlite";
import { SwarmError, agentNotInSwarm, agentRetired, noAgentAvailable } from "../errors.ts";
import type { AgentFilter, SwarmScaling, SwarmStore, TaskFilter } from "../store.ts";
import type {
  Agent,
  AgentWorkload,
  NewAgent,
  NewSwarm,
  NewTask,
  Page,
  PageRequest,
  Swarm,
  SwarmStatus,
  Task,
} from "../types.ts";
import { AgentTable } from "./agents.ts";
import { openDatabase } from "./open.ts";
import { Statements } from "./statements.ts";
import { SwarmTable } from "./swarms.ts";
import { TaskTable } from "./tasks.ts";

const EXPORT_PAGE = 500;

/** The swarm's state in one SQLite file, which several processes may share. */
export class SqliteSwarmStore implements SwarmStore {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #agents: AgentTable;
  readonly #tasks: TaskTable;
  readonly #swarms: SwarmTable;
  readonly #now: () => Date;

  /** @throws StoreOpenError see {@link openDatabase} */
  constructor(file: string, { now = () => new Date() }: { readonly now?: () => Date } = {}) {
    this.#db = openDatabase(file);
    this.#sql = new Statements(this.#db);
    this.#agents = new AgentTable(this.#sql);
    this.#tasks = new TaskTable(this.#sql);
    this.#swarms = new SwarmTable(this.#sql);
    this.#now = now;
  }

  async createAgent(agent: NewAgent): Promise<Agent> {
    return this.#sql.transaction(() => {
      if (agent.swarmId !== undefined) this.#swarms.get(agent.swarmId);
      return this.#agents.insert(agent, this.#time());
    });
  }

  async getAgent(id: string): Promise<Agent> {
    return this.#agents.get(id);
  }

  async listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>> {
    return this.#agents.list(filter, page);
  }

  async retireAgent(id: string): Promise<Agent> {
    return this.#sql.transaction(() => this.#agents.retire(id, this.#time()));
  }

  async agentWorkload({
    swarmId,
  }: {
    swarmId?: string | undefined;
  }): Promise<readonly AgentWorkload[]> {
    if (swarmId !== undefined) this.#swarms.get(swarmId);
    return this.#agents.workload(swarmId);
  }

  async assignTasks(tasks: readonly NewTask[]): Promise<readonly (Task | Error)[]> {
    return this.#sql.transaction(() => tasks.map((task) => this.#tryAssign(task)));
  }

  async getTask(id: string): Promise<Task> {
    return this.#tasks.get(id);
  }

  async listTasks(filter: TaskFilter, page: PageRequest): Promise<Page<Task>> {
    return this.#tasks.list(filter, page);
  }

  async completeTask(id: string, outcome: "done" | "failed", result?: string): Promise<Task> {
    return this.#sql.transaction(() => this.#tasks.complete(id, outcome, result, this.#time()));
  }

  async *exportTasks(filter: TaskFilter): AsyncIterable<Task> {
    let cursor: string | null = "0";
    while (cursor !== null) {
      const page: Page<Task> = this.#tasks.list(filter, { limit: EXPORT_PAGE, cursor });
      yield* page.items;
      cursor = page.nextCursor;
    }
  }

  async createSwarm(input: NewSwarm): Promise<{ swarm: Swarm; agents: readonly Agent[] }> {
    return this.#sql.transaction(() => {
      const swarm = this.#swarms.insert(input, this.#time());
      return { swarm, agents: this.#addAgents(swarm, 1, input.size) };
    });
  }

  async scaleSwarm(id: string, size: number): Promise<SwarmScaling> {
    return this.#sql.transaction(() => {
      this.#swarms.get(id);
      const swarm = this.#swarms.resize(id, size);
      const active = this.#agents.active(id).length;
      const { retired: everRetired } = this.#agents.countByStatus(id);
      const created = this.#addAgents(swarm, active + everRetired + 1, size - active);
      const retired = this.#agents
        .idle(id)
        .slice(0, Math.max(0, active - size))
        .map((agent) => this.#agents.retire(agent.id, this.#time()));
      return { swarm, created, retired, busy: Math.max(0, active - size - retired.length) };
    });
  }

  async swarmStatus(id: string): Promise<SwarmStatus> {
    return {
      swarm: this.#swarms.get(id),
      agents: this.#agents.countByStatus(id),
      tasks: this.#tasks.countByStatus(id),
    };
  }

  async listSwarms(page: PageRequest): Promise<Page<Swarm>> {
    return this.#swarms.list(page);
  }

  /** SQLite's own counter: https://www.sqlite.org/pragma.html#pragma_data_version */
  version(): number {
    return this.#sql.get("PRAGMA data_version")?.["data_version"] as number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }

  #tryAssign(task: NewTask): Task | Error {
    try {
      if (task.swarmId !== undefined) this.#swarms.get(task.swarmId);
      const { id: agentId, swarmId } = this.#assignee(task);
      return this.#tasks.insert({ ...task, agentId, swarmId: swarmId ?? undefined }, this.#time());
    } catch (error) {
      if (error instanceof SwarmError) return error;
      throw error;
    }
  }

  #assignee({ agentId, swarmId }: NewTask): Agent {
    if (agentId === undefined) {
      const chosen = this.#agents.leastLoaded(swarmId);
      if (chosen === undefined) throw noAgentAvailable(swarmId);
      return this.#agents.get(chosen);
    }
    const agent = this.#agents.get(agentId);
    if (agent.status === "retired") throw agentRetired(agentId);
    if (swarmId !== undefined && agent.swarmId !== swarmId) throw agentNotInSwarm(agentId, swarmId);
    return agent;
  }

  #addAgents(swarm: Swarm, firstNumber: number, count: number): Agent[] {
    return Array.from({ length: Math.max(0, count) }, (_, index) =>
      this.#agents.insert(
        { name: `${swarm.name}-${firstNumber + index}`, role: "worker", swarmId: swarm.id },
        this.#time(),
      ),
    );
  }

  #time(): string {
    return this.#now().toISOString();
  }
}
