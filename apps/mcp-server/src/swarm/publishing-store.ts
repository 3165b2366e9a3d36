import type { SwarmEvent, SwarmEvents } from "./events.ts";
import type { AgentFilter, SwarmMade, SwarmScaling, SwarmStore, TaskFilter } from "./store.ts";
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
} from "./types.ts";

/**
 * Tells of every change, after it is durable and before its caller hears of it. The store does this and not the tools:
 * a caller that gives up in between must not leave others with what is no longer true.
 */
export class PublishingStore implements SwarmStore {
  readonly #store: SwarmStore;
  readonly #events: SwarmEvents;

  constructor(store: SwarmStore, events: SwarmEvents) {
    this.#store = store;
    this.#events = events;
  }

  async createAgent(input: NewAgent): Promise<Agent> {
    const agent = await this.#store.createAgent(input);
    await this.#events.publish(created(agent));
    return agent;
  }

  async retireAgent(id: string): Promise<Agent> {
    const agent = await this.#store.retireAgent(id);
    await this.#events.publish(retired(agent));
    return agent;
  }

  async assignTasks(tasks: readonly NewTask[]): Promise<readonly (Task | Error)[]> {
    const outcomes = await this.#store.assignTasks(tasks);
    await this.#events.publish(...outcomes.filter(isTask).map(assigned));
    return outcomes;
  }

  async completeTask(id: string, outcome: "done" | "failed", result?: string): Promise<Task> {
    const task = await this.#store.completeTask(id, outcome, result);
    await this.#events.publish({ type: "taskCompleted", taskId: id, swarmId: task.swarmId });
    return task;
  }

  async createSwarm(input: NewSwarm, review?: (made: SwarmMade) => void): Promise<SwarmMade> {
    const made = await this.#store.createSwarm(input, review);
    await this.#events.publish(
      { type: "swarmCreated", swarmId: made.swarm.id },
      ...made.agents.map(created),
    );
    return made;
  }

  async scaleSwarm(
    id: string,
    size: number,
    review?: (scaling: SwarmScaling) => void,
  ): Promise<SwarmScaling> {
    const scaling = await this.#store.scaleSwarm(id, size, review);
    await this.#events.publish(
      { type: "swarmScaled", swarmId: id },
      ...scaling.created.map(created),
      ...scaling.retired.map(retired),
    );
    return scaling;
  }

  getAgent(id: string): Promise<Agent> {
    return this.#store.getAgent(id);
  }

  listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>> {
    return this.#store.listAgents(filter, page);
  }

  agentWorkload(filter: {
    readonly swarmId?: string | undefined;
  }): Promise<readonly AgentWorkload[]> {
    return this.#store.agentWorkload(filter);
  }

  getTask(id: string): Promise<Task> {
    return this.#store.getTask(id);
  }

  listTasks(filter: TaskFilter, page: PageRequest): Promise<Page<Task>> {
    return this.#store.listTasks(filter, page);
  }

  exportTasks(filter: TaskFilter): AsyncIterable<Task> {
    return this.#store.exportTasks(filter);
  }

  swarmStatus(id: string): Promise<SwarmStatus> {
    return this.#store.swarmStatus(id);
  }

  listSwarms(page: PageRequest): Promise<Page<Swarm>> {
    return this.#store.listSwarms(page);
  }

  stopWriting(): void {
    this.#store.stopWriting();
  }

  version(): number {
    return this.#store.version();
  }

  probe(): Promise<void> {
    return this.#store.probe();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

function created({ id: agentId, swarmId }: Agent): SwarmEvent {
  return { type: "agentCreated", agentId, swarmId };
}

function retired({ id: agentId, swarmId }: Agent): SwarmEvent {
  return { type: "agentRetired", agentId, swarmId };
}

function isTask(outcome: Task | Error): outcome is Task {
  return !(outcome instanceof Error);
}

function assigned({ id: taskId, agentId, swarmId }: Task): SwarmEvent {
  return { type: "taskAssigned", taskId, agentId, swarmId };
}
