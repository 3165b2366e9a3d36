import { EventEmitter } from "eventemitter3";
import {
  AcquireTimeoutError,
  InvalidArgumentError,
  PoolClosedError,
  QueueFullError,
} from "./errors.ts";
import { HoldWatch } from "./hold-watch.ts";
import type { MetricFamily } from "./metric-families.ts";
import { fn, integer } from "./options.ts";
import { Permit } from "./permit.ts";
import type { PoolRejectReason, ResourcePoolEvents } from "./pool-events.ts";
import { poolFamilies } from "./pool-families.ts";
import type { ResourcePoolStats } from "./pool-families.ts";
import { checkWeight, resolveAcquire, resolvePoolOptions } from "./pool-options.ts";
import type {
  AcquireOptions,
  AcquireRequest,
  Priority,
  ResolvedPoolOptions,
  ResourcePoolOptions,
} from "./pool-options.ts";
import { PoolQueue } from "./pool-queue.ts";
import type { PoolNode } from "./pool-queue.ts";
import { safely } from "./safe-emit.ts";
import { onAbort } from "./signal-listeners.ts";

/**
 * Weighted permits behind a bounded queue: higher priorities first unless lower ones have waited long
 * enough, first in first out within each, and whoever's turn it is cannot be overtaken by a lighter one
 * behind. Joining and leaving cost the same however many wait.
 */
export class ResourcePool extends EventEmitter<ResourcePoolEvents> {
  readonly #options: ResolvedPoolOptions;
  readonly #queue: PoolQueue;
  readonly #watch: HoldWatch<Permit> | undefined;
  readonly #unwatch = new WeakMap<Permit, () => void>();
  /** Where the sampled permits were acquired. */
  readonly #origins = new WeakMap<Permit, Error>();
  readonly #rejected: Record<PoolRejectReason, number> = {
    timeout: 0,
    queueFull: 0,
    aborted: 0,
    closed: 0,
    resized: 0,
  };
  #capacity: number;
  #inUse = 0;
  #peak = 0;
  #permits = 0;
  #acquired = 0;
  #longHolds = 0;
  #closed = false;

  /** @throws InvalidArgumentError */
  constructor(options: ResourcePoolOptions) {
    super();
    this.#options = resolvePoolOptions(options);
    this.#capacity = this.#options.capacity;
    const { maxHoldMs, agingMs, now, schedule } = this.#options;
    this.#queue = new PoolQueue(agingMs);
    if (maxHoldMs === undefined) return;
    this.#watch = new HoldWatch(maxHoldMs, now, schedule, (permit) => {
      this.#onLongHold(permit);
    });
  }

  get capacity(): number {
    return this.#capacity;
  }

  /**
   * Resolves with a permit once it is this caller's turn and the weight fits.
   *
   * @throws AcquireTimeoutError, QueueFullError, PoolClosedError, InvalidArgumentError, or the signal's reason
   */
  async acquire(options: AcquireOptions = {}): Promise<Permit> {
    const { name, queueLimit, acquireTimeoutMs, now } = this.#options;
    const request = resolveAcquire(options, acquireTimeoutMs, this.#capacity);
    const { weight, priority, signal } = request;
    if (this.#closed) throw this.#refuse("closed", new PoolClosedError(name));
    signal?.throwIfAborted();
    const free = this.#queue.size === 0 || this.#queue.isFree(priority, now());
    if (free && this.#fits(weight)) return this.#grant(weight, priority);
    if (this.#queue.size >= queueLimit)
      throw this.#refuse("queueFull", new QueueFullError(`pool ${name}`, queueLimit));
    return this.#wait(request);
  }

  /** A permit when one is free and nobody waits; undefined otherwise. */
  tryAcquire(weight = 1): Permit | undefined {
    checkWeight(weight, this.#capacity);
    const free = !this.#closed && this.#queue.size === 0 && this.#fits(weight);
    return free ? this.#grant(weight, "normal") : undefined;
  }

  /** Runs `task` with a permit, and gives it back however `task` ends. */
  async use<T>(task: (permit: Permit) => T | Promise<T>, options?: AcquireOptions): Promise<T> {
    fn("task", task);
    const permit = await this.acquire(options);
    try {
      return await task(permit);
    } finally {
      permit.release();
    }
  }

  /** Changes the capacity. Permits that are out stay valid; waiters that can no longer fit are rejected. */
  resize(capacity: number): void {
    this.#capacity = integer("capacity", capacity, 1);
    for (const node of this.#queue.all()) {
      const { weight } = node.value;
      if (weight <= capacity) continue;
      const expected = `at most the capacity, which became ${capacity}`;
      this.#dismiss(node, "resized", new InvalidArgumentError("weight", expected, weight));
    }
    this.#serve();
  }

  stats(): ResourcePoolStats {
    return {
      name: this.#options.name,
      capacity: this.#capacity,
      inUse: this.#inUse,
      peak: this.#peak,
      permits: this.#permits,
      waiting: this.#queue.size,
      queueLimit: this.#options.queueLimit,
      acquired: this.#acquired,
      rejected: { ...this.#rejected },
      longHolds: this.#longHolds,
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return poolFamilies(this.#options.name, () => this.stats());
  }

  /** Rejects those who wait and those who come; permits that are out may still be given back. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.stop();
    for (const node of this.#queue.all())
      this.#dismiss(node, "closed", new PoolClosedError(this.#options.name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #wait({ weight, priority, timeoutMs, signal }: AcquireRequest): Promise<Permit> {
    const { name, now, schedule } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const node = this.#queue.push({ weight, priority, startedAt: now(), resolve, reject });
    const cancelTimeout = schedule(() => {
      this.#dismiss(node, "timeout", new AcquireTimeoutError(name, weight, timeoutMs));
    }, timeoutMs);
    const unfollow = onAbort(signal, () => {
      this.#dismiss(node, "aborted", signal?.reason);
    });
    // Time may have changed whose turn it is.
    this.#serve();
    try {
      return await promise;
    } finally {
      cancelTimeout();
      unfollow();
    }
  }

  #dismiss(node: PoolNode, reason: PoolRejectReason, error: unknown): void {
    if (!this.#queue.remove(node)) return;
    node.value.reject(this.#refuse(reason, error));
    this.#serve();
  }

  /** Stops at the first who does not fit, so that a heavy waiter's turn comes. */
  #serve(): void {
    while (this.#queue.size > 0 && !this.#closed) {
      const node = this.#queue.first(this.#options.now());
      if (node === undefined || !this.#fits(node.value.weight)) return;
      this.#queue.remove(node);
      const { weight, priority, startedAt } = node.value;
      node.value.resolve(this.#grant(weight, priority, startedAt));
    }
  }

  #fits(weight: number): boolean {
    return this.#inUse + weight <= this.#capacity;
  }

  #grant(weight: number, priority: Priority, startedAt?: number): Permit {
    const now = this.#options.now();
    const permit = new Permit(weight, now, (released) => {
      this.#onRelease(released);
    });
    this.#inUse += weight;
    this.#permits += 1;
    this.#acquired += 1;
    this.#peak = Math.max(this.#peak, this.#inUse);
    if (this.#watch !== undefined) this.#observe(permit, this.#watch);
    if (this.listenerCount("acquire") > 0) {
      const waitMs = now - (startedAt ?? now);
      safely(() => this.emit("acquire", { weight, priority, waitMs }));
    }
    return permit;
  }

  #observe(permit: Permit, watch: HoldWatch<Permit>): void {
    this.#unwatch.set(permit, watch.add(permit));
    if (this.#options.random() < this.#options.stackSampleRatio)
      this.#origins.set(permit, new Error("acquired here"));
  }

  #onRelease(permit: Permit): void {
    this.#inUse -= permit.weight;
    this.#permits -= 1;
    this.#unwatch.get(permit)?.();
    if (this.listenerCount("release") > 0) {
      const heldMs = this.#options.now() - permit.acquiredAt;
      safely(() => this.emit("release", { weight: permit.weight, heldMs }));
    }
    this.#serve();
  }

  #onLongHold(permit: Permit): void {
    const heldMs = this.#options.now() - permit.acquiredAt;
    const stack = this.#origins.get(permit)?.stack;
    this.#longHolds += 1;
    safely(() => this.emit("longHold", { weight: permit.weight, heldMs, stack }));
  }

  #refuse<T>(reason: PoolRejectReason, error: T): T {
    this.#rejected[reason] += 1;
    safely(() => this.emit("reject", { reason, error }));
    return error;
  }
}
