import type { GroupContext } from "./group-context.ts";
import type { GroupExchange } from "./group-exchange.ts";
import type { Replica } from "./replica.ts";

/** Where one request of a group went, and whether, where and when it may be sent again. */
export class RetryPlan {
  readonly #context: GroupContext;
  readonly #exchange: GroupExchange;
  readonly #tried: Replica[] = [];
  /** Times that an upstream may have received it. */
  #sent = 0;
  #cancelDelay: (() => void) | undefined;

  constructor(context: GroupContext, exchange: GroupExchange) {
    this.#context = context;
    this.#exchange = exchange;
  }

  get attempts(): number {
    return this.#tried.length;
  }

  /** Each once. */
  get upstreams(): string[] {
    return [...new Set(this.#tried.map(({ upstream }) => upstream))];
  }

  /** It goes there now. */
  sent(replica: Replica): void {
    this.#tried.push(replica);
    this.#sent += 1;
  }

  /** Nothing of it reached the one that failed last. */
  unsent(): void {
    this.#sent -= 1;
  }

  /** One that was not tried yet; none when it keeps to one upstream. */
  another(): Replica | undefined {
    const { route } = this.#exchange;
    if (this.#exhausted || route.sticky) return undefined;
    return this.#context.router.pick(route, this.#tried);
  }

  /** Whether a pool may send it once more by itself. */
  mayReplay(): boolean {
    const { maxAttempts } = this.#context.options.retry;
    if (this.#sent >= maxAttempts || !this.withdraw()) return false;
    this.#sent += 1;
    return true;
  }

  /** Takes one retry of the budget; false when there is none left. */
  withdraw(): boolean {
    const allowed = this.#context.retries.withdraw();
    if (!allowed) this.#context.report.counters.overBudget += 1;
    return allowed;
  }

  /**
   * After a failure: says, now or later, where it goes; undefined when by then nobody takes it. One that says when to
   * come back is asked no sooner.
   * @returns false when it is not to be sent again
   */
  next(
    failed: Replica,
    retryAfterMs: number | undefined,
    go: (next: Replica | undefined, delayMs: number) => void,
  ): boolean {
    if (this.#cancelDelay !== undefined) return true;
    if (this.#exhausted) return false;
    const { options } = this.#context;
    const { baseDelayMs, maxDelayMs } = options.retry;
    const other = this.another();
    const soonestMs = retryAfterMs ?? 0;
    if (other === undefined && (soonestMs > maxDelayMs || this.#same(failed) === undefined))
      return false;
    if (!this.withdraw()) return false;
    if (other !== undefined) {
      go(other, 0);
      return true;
    }
    // "Full jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    const ceilingMs = Math.min(maxDelayMs, baseDelayMs * 2 ** (this.attempts - 1));
    const delayMs = Math.max(soonestMs, options.random() * ceilingMs);
    this.#wait(delayMs, () => go(this.#same(failed), delayMs));
    return true;
  }

  /** It is over. */
  stop(): void {
    this.#cancelDelay?.();
  }

  get #exhausted(): boolean {
    const { maxAttempts } = this.#context.options.retry;
    return this.attempts >= maxAttempts || this.#sent >= maxAttempts;
  }

  /** Where it goes when all others were tried, or none other will do. */
  #same(failed: Replica): Replica | undefined {
    const { route } = this.#exchange;
    if (!route.sticky) return this.#context.router.pick(route, []);
    return failed.circuit.admits && !failed.removed ? failed : undefined;
  }

  #wait(delayMs: number, over: () => void): void {
    const { delayed, options } = this.#context;
    delayed.add(this.#exchange);
    const cancelTimer = options.schedule(() => {
      this.stop();
      over();
    }, delayMs);
    this.#cancelDelay = () => {
      cancelTimer();
      delayed.delete(this.#exchange);
      this.#cancelDelay = undefined;
    };
  }
}
