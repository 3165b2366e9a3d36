/** Every change of the swarm's state, told after the change is durable and before the caller hears of it. */
export type SwarmEvent =
  | (AgentEvent & { readonly type: "agentCreated" })
  | (AgentEvent & { readonly type: "agentRetired" })
  | (TaskEvent & { readonly type: "taskAssigned"; readonly agentId: string })
  | (TaskEvent & { readonly type: "taskCompleted" })
  | { readonly type: "swarmCreated"; readonly swarmId: string }
  | { readonly type: "swarmScaled"; readonly swarmId: string }
  | { readonly type: "toolStateChanged"; readonly toolName: string };

interface AgentEvent {
  readonly agentId: string;
  /** The swarm whose status the change shows in. */
  readonly swarmId: string | null;
}
interface TaskEvent {
  readonly taskId: string;
  readonly swarmId: string | null;
}

export type SwarmEventSink = (event: SwarmEvent) => void | Promise<void>;

/** Tells every sink of a change and waits for them, so that an acknowledged write is visible to the next read. */
export class SwarmEvents {
  readonly #sinks = new Set<SwarmEventSink>();
  readonly #onError: (error: unknown, event: SwarmEvent) => void;

  constructor(onError: (error: unknown, event: SwarmEvent) => void) {
    this.#onError = onError;
  }

  subscribe(sink: SwarmEventSink): Disposable {
    this.#sinks.add(sink);
    return { [Symbol.dispose]: () => void this.#sinks.delete(sink) };
  }

  /** Never rejects: a failing sink is reported and the others still hear the event. */
  async publish(...events: readonly SwarmEvent[]): Promise<void> {
    await Promise.all(
      events.flatMap((event) => [...this.#sinks].map((sink) => this.#tell(sink, event))),
    );
  }

  async #tell(sink: SwarmEventSink, event: SwarmEvent): Promise<void> {
    try {
      await sink(event);
    } catch (error) {
      this.#onError(error, event);
    }
  }
}
