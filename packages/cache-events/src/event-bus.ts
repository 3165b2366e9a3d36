import { EventEmitter } from "eventemitter3";
import { checkOptions, checkText, having, integer, number, typed } from "./checks.ts";
import {
  CacheClosedError,
  CacheOptionError,
  SubscriberBusyError,
  SubscriberTimeoutError,
} from "./errors.ts";
import type { Timers } from "./timers.ts";
import { maxDelayMs, systemTimers, within } from "./timers.ts";

export type CacheInvalidationEvent =
  | { readonly type: "toolStateChanged"; readonly toolName: string }
  | { readonly type: "agentCreated"; readonly agentId: string }
  | { readonly type: "taskCompleted"; readonly taskId: string }
  | { readonly type: "swarmScaled"; readonly swarmId: string };

export type Subscriber<E> = (event: E) => unknown;

export interface BusOptions {
  readonly subscriberTimeoutMs?: number;
  /** Events that one subscriber may have under way; it misses those beyond. */
  readonly maxPending?: number;
  /** Told of a subscriber that failed, was too slow or missed an event. Left out: the attached caches, or a process warning. */
  readonly onSubscriberError?: (type: string, error: unknown) => void;
  readonly timers?: Timers;
}

/** What a cache does with the events of a bus. */
export interface BusMember<E> {
  /** Invalidates what the event's rule says; its rejection becomes that of `emit()`. */
  fence(event: E): Promise<void>;
  subscriberFailed(type: string, error: unknown): void;
}

interface Listener {
  (event: never): unknown;
  /** The one it stands for. */
  readonly once?: unknown;
}

const checks = {
  subscriberTimeoutMs: number(1, maxDelayMs),
  maxPending: integer(1, 2 ** 20),
  onSubscriberError: typed("function"),
  timers: having("an object", "set", "clear"),
};

/**
 * Typed events. Each one makes the caches that are attached invalidate what their rules say, then reaches the subscribers of its
 * type. Of use alone, too, and for several caches at once: `new EventCache({ bus })`.
 */
export class CacheEventBus<E extends { readonly type: string } = CacheInvalidationEvent> {
  readonly #timers: Timers;
  readonly #timeoutMs: number;
  readonly #maxPending: number;
  readonly #onSubscriberError: ((type: string, error: unknown) => void) | undefined;
  readonly #emitter = new EventEmitter<string>();
  readonly #members = new Set<BusMember<E>>();
  readonly #pending = new Map<unknown, number>();
  /** Moves when a subscriber is taken off. */
  #removals = 0;
  #closed: Error | undefined;

  /** @throws CacheOptionError */
  constructor(options: BusOptions = {}) {
    checkOptions(options, checks);
    this.#timers = options.timers ?? systemTimers;
    this.#timeoutMs = options.subscriberTimeoutMs ?? 30_000;
    this.#maxPending = options.maxPending ?? 1_000;
    this.#onSubscriberError = options.onSubscriberError;
  }

  on<K extends E["type"]>(type: K, subscriber: Subscriber<Extract<E, { type: K }>>): this {
    checkText("type", type);
    typed("function")("subscriber", subscriber);
    this.#emitter.on(type, subscriber);
    return this;
  }

  /** For the next event only. */
  once<K extends E["type"]>(type: K, subscriber: Subscriber<Extract<E, { type: K }>>): this {
    checkText("type", type);
    typed("function")("subscriber", subscriber);
    const first = (event: Extract<E, { type: K }>): unknown => {
      this.#remove(type, first);
      return subscriber(event);
    };
    this.#emitter.on(type, Object.assign(first, { once: subscriber }));
    return this;
  }

  /** It is not called any more, not even by an `emit()` under way that has not come to it. */
  off<K extends E["type"]>(type: K, subscriber: Subscriber<Extract<E, { type: K }>>): this {
    for (const listener of this.#listeners(type)) {
      if (listener === subscriber || listener.once === subscriber) this.#remove(type, listener);
    }
    return this;
  }

  listenerCount(type: E["type"]): number {
    return this.#emitter.listenerCount(type);
  }

  /**
   * Resolves once every tag is invalidated and every subscriber has settled or run out of time. A subscriber that fails disturbs
   * nobody: it is reported, see `onSubscriberError`.
   *
   * @throws RuleError when the event's rule is broken; everything is invalidated then.
   * @throws InvalidationError when the store did not confirm.
   * @throws AggregateError of those when several caches share the bus and more than one failed.
   */
  async emit(event: E): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (typeof event !== "object" || event === null || typeof event.type !== "string")
      throw new CacheOptionError("event", "an object with a type", event);
    const fenced = await Promise.allSettled([...this.#members].map((cache) => cache.fence(event)));
    await this.deliver(event);
    const errors = fenced.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} caches failed`);
    if (errors.length === 1) throw errors[0];
  }

  /** Calls the subscribers alone: what another process emitted has invalidated already. */
  async deliver(event: E): Promise<void> {
    await Promise.all(this.#calls(event));
  }

  /** Lets a cache take part; done by the option `bus` of EventCache. The function returned ends that. */
  attach(cache: BusMember<E>): () => void {
    this.#members.add(cache);
    return () => {
      this.#members.delete(cache);
    };
  }

  /** Forgets caches and subscribers; `emit` rejects from now on. */
  close(reason: Error = new CacheClosedError("events", "bus")): void {
    this.#closed ??= reason;
    this.#members.clear();
    this.#emitter.removeAllListeners();
    this.#removals++;
  }

  #listeners(type: string): readonly Listener[] {
    return this.#emitter.listeners(type) as readonly Listener[];
  }

  #remove(type: string, listener: Listener): void {
    this.#emitter.off(type, listener as () => void);
    this.#removals++;
  }

  *#calls(event: E): Generator<Promise<void>> {
    const before = this.#removals;
    for (const listener of this.#listeners(event.type)) {
      const left = this.#removals !== before && !this.#listeners(event.type).includes(listener);
      if (!left) yield this.#call(listener, event);
    }
  }

  async #call(listener: Listener, event: E): Promise<void> {
    const { type } = event;
    const pending = this.#pending.get(listener) ?? 0;
    if (pending >= this.#maxPending)
      return this.#report(type, new SubscriberBusyError(type, this.#maxPending));
    this.#pending.set(listener, pending + 1);
    try {
      const result = listener(event as never);
      if (!isThenable(result)) return;
      const timeout = (): Error => new SubscriberTimeoutError(type, this.#timeoutMs);
      await within(Promise.resolve(result), this.#timers, this.#timeoutMs, timeout);
    } catch (error) {
      this.#report(type, error);
    } finally {
      this.#settled(listener);
    }
  }

  #settled(listener: Listener): void {
    const pending = this.#pending.get(listener) ?? 0;
    if (pending > 1) this.#pending.set(listener, pending - 1);
    else this.#pending.delete(listener);
  }

  #report(type: string, error: unknown): void {
    for (const cache of this.#members) cache.subscriberFailed(type, error);
    if (this.#onSubscriberError === undefined) {
      if (this.#members.size === 0) warn(type, error);
      return;
    }
    try {
      this.#onSubscriberError(type, error);
    } catch (reason) {
      warn(type, reason);
    }
  }
}

function isThenable(value: unknown): boolean {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === "function";
}

function warn(type: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  process.emitWarning(`a subscriber of "${type}" failed: ${reason}`, {
    type: "CacheEventsWarning",
    code: "CACHE_SUBSCRIBER",
  });
}
