import { EventEmitter } from "eventemitter3";
import { checkText, typed } from "./checks.ts";
import { CacheOptionError, SubscriberTimeoutError } from "./errors.ts";
import type { Timers } from "./timers.ts";
import { within } from "./timers.ts";

export type CacheInvalidationEvent =
  | { readonly type: "toolStateChanged"; readonly toolName: string }
  | { readonly type: "agentCreated"; readonly agentId: string }
  | { readonly type: "taskCompleted"; readonly taskId: string }
  | { readonly type: "swarmScaled"; readonly swarmId: string };

export type Subscriber<E> = (event: E) => unknown;

export interface BusOptions<E> {
  readonly timers: Timers;
  readonly timeoutMs: number;
  /** Invalidates what the event's rule says; its rejection becomes that of `emit()`. */
  fence(event: E): Promise<void>;
  failed(type: string, error: unknown): void;
}

/** Typed events: each one invalidates the tags of its rule, then reaches the subscribers of its type. */
export class CacheEventBus<E extends { readonly type: string }> {
  readonly #options: BusOptions<E>;
  readonly #emitter = new EventEmitter<string>();

  constructor(options: BusOptions<E>) {
    this.#options = options;
  }

  on<K extends E["type"]>(type: K, subscriber: Subscriber<Extract<E, { type: K }>>): this {
    checkText("type", type);
    typed("function")("subscriber", subscriber);
    this.#emitter.on(type, subscriber);
    return this;
  }

  off<K extends E["type"]>(type: K, subscriber: Subscriber<Extract<E, { type: K }>>): this {
    this.#emitter.off(type, subscriber);
    return this;
  }

  /**
   * Resolves once every tag is invalidated and every subscriber has settled or run out of time. A subscriber that fails disturbs
   * nobody: it becomes the cache's event `subscriberError`.
   *
   * @throws RuleError when the event's rule is broken; everything is invalidated then.
   * @throws InvalidationError when the store did not confirm.
   */
  async emit(event: E): Promise<void> {
    if (typeof event !== "object" || event === null || typeof event.type !== "string")
      throw new CacheOptionError("event", "an object with a type", event);
    const fenced = this.#options.fence(event);
    await fenced.catch(() => {});
    await this.deliver(event);
    await fenced;
  }

  /** Calls the subscribers alone: what another process emitted has invalidated already. */
  async deliver(event: E): Promise<void> {
    await Promise.all(this.#emitter.listeners(event.type).map((fn) => this.#call(fn, event)));
  }

  close(): void {
    this.#emitter.removeAllListeners();
  }

  async #call(subscriber: Subscriber<E>, event: E): Promise<void> {
    const { timers, timeoutMs } = this.#options;
    try {
      const settled = Promise.resolve(subscriber(event));
      const timeout = (): Error => new SubscriberTimeoutError(event.type, timeoutMs);
      await within(settled, timers, timeoutMs, timeout);
    } catch (error) {
      this.#options.failed(event.type, error);
    }
  }
}
