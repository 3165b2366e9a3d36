import type { DatabaseSync } from "node:sqlite";
import { SwarmError, agentNotInSwarm, agentRetired, noAgentAvailable } from "../errors.ts";
import type { AgentFilter, SwarmMade, SwarmScaling, SwarmStore, TaskFilter } from "../store.ts";
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
import { readWhenFree, systemClock, type Clock } from "./lock-wait.ts";
import { openDatabase } from "./open.ts";
import { probe } from "./probe.ts";
import { Statements } from "./statements.ts";
import { SwarmTable } from "./swarms.ts";
import { TaskTable } from "./tasks.ts";
import { WriteQueue } from "./write-queue.ts";

const EXPORT_PAGE = 500;

interface SqliteStoreOptions {
  readonly now?: () => Date;
  /** For the waiting, not for what is stored. */
  readonly clock?: Clock;
}

/** The swarm's state in one SQLite file, which several processes may share. */
export class SqliteSwarmStore implements SwarmStore {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #agents: AgentTable;
  readonly #tasks: TaskTable;
  readonly #swarms: SwarmTable;
  readonly #now: () => Date;
  readonly #clock: Clock;
  readonly #writes: WriteQueue;

  /** @throws StoreOpenError see {@link openDatabase} */
  constructor(
    file: string,
    { now = () => new Date(), clock = systemClock }: SqliteStoreOptions = {},
  ) {
    this.#db = openDatabase(file);
    this.#sql = new Statements(this.#db);
    this.#clock = clock;
    this.#writes = new WriteQueue((work) => this.#sql.transaction(work), clock);
    this.#agents = new AgentTable(this.#sql);
    this.#tasks = new TaskTable(this.#sql);
    this.#swarms = new SwarmTable(this.#sql);
    this.#now = now;
  }

  async createAgent(agent: NewAgent): Promise<Agent> {
    return this.#writes.run(() => {
      if (agent.swarmId !== undefined) this.#swarms.get(agent.swarmId);
      return this.#agents.insert(agent, this.#time());
    });
  }

  async getAgent(id: string): Promise<Agent> {
    return this.#read(() => this.#agents.get(id));
  }

  async listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>> {
    return this.#read(() => this.#agents.list(filter, page));
  }

  async retireAgent(id: string): Promise<Agent> {
    return this.#writes.run(() => this.#agents.retire(id, this.#time()));
  }

  async agentWorkload({
    swarmId,
  }: {
    swarmId?: string | undefined;
  }): Promise<readonly AgentWorkload[]> {
    return this.#read(() => {
      if (swarmId !== undefined) this.#swarms.get(swarmId);
      return this.#agents.workload(swarmId);
    });
  }

  async assignTasks(tasks: readonly NewTask[]): Promise<readonly (Task | Error)[]> {
    return this.#writes.run(() => tasks.map((task) => this.#tryAssign(task)));
  }

  async getTask(id: string): Promise<Task> {
    return this.#read(() => this.#tasks.get(id));
  }

  async listTasks(filter: TaskFilter, page: PageRequest): Promise<Page<Task>> {
    return this.#read(() => this.#tasks.list(filter, page));
  }

  async completeTask(id: string, outcome: "done" | "failed", result?: string): Promise<Task> {
    return this.#writes.run(() => this.#tasks.complete(id, outcome, result, this.#time()));
  }

  async *exportTasks(filter: TaskFilter): AsyncIterable<Task> {
    let cursor: string | null = "0";
    while (cursor !== null) {
      const page: Page<Task> = await this.listTasks(filter, { limit: EXPORT_PAGE, cursor });
      yield* page.items;
      cursor = page.nextCursor;
    }
  }

  async createSwarm(input: NewSwarm, review?: (made: SwarmMade) => void): Promise<SwarmMade> {
    return this.#writes.run(() => {
      const swarm = this.#swarms.insert(input, this.#time());
      const made = { swarm, agents: this.#addAgents(swarm, 1, input.size) };
      review?.(made);
      return made;
    });
  }

  async scaleSwarm(
    id: string,
    size: number,
    review?: (scaling: SwarmScaling) => void,
  ): Promise<SwarmScaling> {
    return this.#writes.run(() => {
      this.#swarms.get(id);
      const swarm = this.#swarms.resize(id, size);
      const active = this.#agents.active(id).length;
      const { retired: everRetired } = this.#agents.countByStatus(id);
      const created = this.#addAgents(swarm, active + everRetired + 1, size - active);
      const retired = this.#agents
        .idle(id)
        .slice(0, Math.max(0, active - size))
        .map((agent) => this.#agents.retire(agent.id, this.#time()));
      const busy = Math.max(0, active - size - retired.length);
      const scaling = { swarm, created, retired, busy };
      review?.(scaling);
      return scaling;
    });
  }

  async swarmStatus(id: string): Promise<SwarmStatus> {
    return this.#read(() => ({
      swarm: this.#swarms.get(id),
      agents: this.#agents.countByStatus(id),
      tasks: this.#tasks.countByStatus(id),
    }));
  }

  async listSwarms(page: PageRequest): Promise<Page<Swarm>> {
    return this.#read(() => this.#swarms.list(page));
  }

  /** SQLite's own counter: https://www.sqlite.org/pragma.html#pragma_data_version */
  version(): number {
    return this.#sql.get("PRAGMA data_version")?.["data_version"] as number;
  }

  async probe(): Promise<void> {
    await this.#read(() => probe(this.#sql));
  }

  stopWriting(): void {
    this.#writes.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#writes.close();
    if (this.#db.isOpen) this.#db.close();
  }

  #read<T>(read: () => T): Promise<T> {
    return readWhenFree(read, this.#clock);
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
