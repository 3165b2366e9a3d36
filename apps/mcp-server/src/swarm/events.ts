/** Every change of the swarm's state, told after the change is durable and before the caller hears of it. */
export type SwarmEvent =
  | { readonly type: "agentCreated"; readonly agentId: string }
  | { readonly type: "agentRetired"; readonly agentId: string }
  | { readonly type: "taskAssigned"; readonly taskId: string; readonly agentId: string }
  | { readonly type: "taskCompleted"; readonly taskId: string }
  | { readonly type: "swarmCreated"; readonly swarmId: string }
  | { readonly type: "swarmScaled"; readonly swarmId: string }
  | { readonly type: "toolStateChanged"; readonly toolName: string };

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
