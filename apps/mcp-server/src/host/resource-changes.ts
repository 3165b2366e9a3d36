import type { SwarmEvent, SwarmEvents } from "../swarm/events.ts";
import type { SwarmStore } from "../swarm/store.ts";
import { changedResources } from "./resources.ts";

export interface ResourceChange {
  readonly uris: readonly string[];
  /** The list of resources changed. */
  readonly list: boolean;
}

/** Turns swarm events into changes of resources, for as long as somebody listens. */
export class ResourceChanges {
  readonly #listeners = new Set<(change: ResourceChange) => void>();
  readonly #store: SwarmStore;
  readonly #onError: (error: unknown) => void;

  constructor(store: SwarmStore, events: SwarmEvents, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
    events.subscribe((event) => this.#heard(event));
  }

  subscribe(listener: (change: ResourceChange) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Returns at once: telling subscribers must not delay the answer to the writer. */
  #heard(event: SwarmEvent): void {
    if (this.#listeners.size === 0) return;
    this.#tell(event).catch(this.#onError);
  }

  async #tell(event: SwarmEvent): Promise<void> {
    const change = await changedResources(event, this.#store);
    if (change.uris.length === 0 && !change.list) return;
    for (const listener of this.#listeners) listener(change);
  }
}
