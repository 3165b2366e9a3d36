import type { SwarmEvent, SwarmEvents } from "../swarm/events.ts";
import { changedResources } from "./resources.ts";

export interface ResourceChange {
  readonly uris: readonly string[];
  /** The list of resources changed. */
  readonly list: boolean;
}

/**
 * Turns swarm events into changes of resources, for as long as somebody listens. What happens within one turn of the event loop
 * is told as one change, in which each resource is named once.
 */
export class ResourceChanges {
  readonly #listeners = new Set<(change: ResourceChange) => void>();
  readonly #onError: (error: unknown) => void;
  #uris = new Set<string>();
  #list = false;
  #scheduled = false;

  constructor(events: SwarmEvents, onError: (error: unknown) => void) {
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
    const { uris, list } = changedResources(event);
    if (uris.length === 0 && !list) return;
    for (const uri of uris) this.#uris.add(uri);
    this.#list ||= list;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#tell());
  }

  #tell(): void {
    const change: ResourceChange = { uris: [...this.#uris], list: this.#list };
    this.#uris = new Set();
    this.#list = false;
    this.#scheduled = false;
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
