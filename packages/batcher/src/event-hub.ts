import { EventEmitter } from "eventemitter3";
import type { BatcherEvents } from "./events.ts";
import { callSafely } from "./warn.ts";

/** Events whose listeners cannot break the work: what one throws or rejects with becomes a process warning. */
export class EventHub {
  readonly #emitter = new EventEmitter<BatcherEvents>();

  on<E extends keyof BatcherEvents>(event: E, listener: BatcherEvents[E]): void {
    this.#emitter.on(event, listener as never);
  }

  off<E extends keyof BatcherEvents>(event: E, listener: BatcherEvents[E]): void {
    this.#emitter.off(event, listener as never);
  }

  count(event: keyof BatcherEvents): number {
    return this.#emitter.listenerCount(event);
  }

  /** Each listener is called, whatever the others do. `payload` is only made when somebody listens. */
  emit<E extends keyof BatcherEvents>(
    event: E,
    payload: () => Parameters<BatcherEvents[E]>[0],
  ): void {
    if (this.#emitter.listenerCount(event) === 0) return;
    const value = payload();
    for (const listener of this.#emitter.listeners(event))
      callSafely(() => (listener as (value: unknown) => unknown)(value));
  }
}
