import type { StandIn } from "./attend.ts";
import { attend } from "./attend.ts";
import type { LoadEvent } from "./cache-events.ts";
import { LoadTimeoutError } from "./errors.ts";
import { Failure } from "./freshness.ts";
import type { Host } from "./host.ts";
import { LoadScope, inside, waitFor } from "./load-scope.ts";
import type { Space } from "./space.ts";

export interface ComputeContext {
  /**
   * Aborts when the last reader has left, on `loadTimeoutMs`, and when the cache is closed. It is made when it is first asked for:
   * take it by name, for `{ ...context }` does not copy it.
   */
  readonly signal: AbortSignal;
  /** Adds tags that are known only while computing. */
  readonly tag: (...tags: string[]) => void;
}

export type Compute<V> = (context: ComputeContext) => V | Promise<V>;

export interface FlightPlan {
  readonly compute: Compute<unknown>;
  /** Instead of the cache's. */
  readonly loadTimeoutMs?: number | undefined;
  tag(tags: readonly string[]): void;
  /** Takes the result; tells whether it was stored. */
  land(value: unknown): boolean | Promise<boolean>;
  /** The flight ended without a result, with a failure if the compute itself failed; tells whether that was stored. */
  leave(failure?: Failure): boolean | Promise<boolean>;
}

/** One compute and the readers that wait for it. */
export class Flight {
  readonly space: Space;
  readonly key: string;
  /** `undefined` when cycles are not looked for. */
  readonly scope: LoadScope | undefined;
  /** A tag that came out of the compute had been invalidated since it began. */
  lateMoved = false;
  readonly #host: Host;
  #controller: AbortController | undefined;
  #abandoned: { readonly error: unknown } | undefined;
  readonly #outcome = Promise.withResolvers<unknown>();
  #plan: FlightPlan | undefined;
  #timer: unknown;
  #waiters = 0;
  /** Someone has the promise: whether its rejection is handled is theirs. */
  #pinned = false;
  /** Why it must not begin. */
  #refusal: Error | undefined;
  #startedAt: number | undefined;

  constructor(host: Host, space: Space, key: string) {
    this.#host = host;
    this.space = space;
    this.key = key;
    if (host.settings.detectCycles) this.scope = new LoadScope(host, space.name, key);
  }

  /** Aborts when the flight is given up. Few computes ask for it, and it costs as much as all the rest of a load. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abandoned !== undefined) this.#controller.abort(this.#abandoned.error);
    }
    return this.#controller.signal;
  }

  /** Calls the compute at once; never rejects. */
  async run(plan: FlightPlan): Promise<void> {
    const refusal = this.#host.closed ?? this.#refusal;
    if (refusal !== undefined) {
      this.scope?.end();
      void plan.leave();
      return this.#reject(refusal);
    }
    this.#begin(plan);
    try {
      const value = await inside(this.scope, plan.compute, new Context(this));
      if (this.#plan === undefined) return;
      const landing = plan.land(value);
      const stored = typeof landing === "boolean" ? landing : await landing;
      if (this.#end("ok", stored)) this.#outcome.resolve(value);
    } catch (error) {
      if (this.#plan === undefined) return;
      const leaving = plan.leave(new Failure(error));
      const stored = typeof leaving === "boolean" ? leaving : await leaving;
      if (this.#end("error", stored)) this.#reject(error);
    }
  }

  /**
   * Resolves with the result, or with what stands in for it. A reader that aborts leaves alone; the last one takes the compute
   * along. Rejects with CacheCycleError when the reader is a compute that this one waits for; a flight not begun never begins then.
   */
  wait(signal: AbortSignal | undefined, standIn?: StandIn): Promise<unknown> {
    let left: (() => void) | undefined;
    try {
      left = this.scope && waitFor(this.scope);
    } catch (error) {
      this.#refusal = error as Error;
      return Promise.reject(this.#refusal);
    }
    if (signal === undefined && standIn === undefined && left === undefined) return this.pin();
    return attend(this.pin(), {
      timers: this.#host.settings.timers,
      signal,
      standIn,
      left: left ?? (() => {}),
      aborted: (reason) => {
        if (--this.#waiters === 0) this.abandon(reason, "aborted");
      },
    });
  }

  /** The result for one who is no reader: its wait is not part of the compute that runs now, and it never leaves. */
  pin(): Promise<unknown> {
    this.#waiters++;
    this.#pinned = true;
    return this.#outcome.promise;
  }

  /** Ends the flight with `error` for everyone who waits; does nothing when it has ended. */
  abandon(error: unknown, outcome: "timeout" | "aborted"): void {
    const plan = this.#plan;
    if (plan === undefined || !this.#end(outcome, false)) return;
    void plan.leave();
    this.#reject(error);
    this.#abandoned = { error };
    this.#controller?.abort(error);
  }

  /** Tags named after the end change nothing. */
  tag(tags: readonly string[]): void {
    this.#plan?.tag(tags);
  }

  #reject(reason: unknown): void {
    if (!this.#pinned) this.#outcome.promise.catch(() => {});
    this.#outcome.reject(reason);
  }

  #begin(plan: FlightPlan): void {
    const { settings, announcer } = this.#host;
    const loadTimeoutMs = plan.loadTimeoutMs ?? settings.loadTimeoutMs;
    this.#plan = plan;
    this.#host.running.add(this);
    this.#host.countLoad(this.space);
    this.#startedAt = announcer.hears("load") ? settings.now() : undefined;
    this.#timer = settings.timers.set(
      () => this.abandon(new LoadTimeoutError(loadTimeoutMs), "timeout"),
      loadTimeoutMs,
    );
  }

  #end(outcome: LoadEvent["outcome"], stored: boolean): boolean {
    if (this.#plan === undefined) return false;
    this.#plan = undefined;
    this.scope?.end();
    this.#host.running.delete(this);
    const { settings, announcer } = this.#host;
    settings.timers.clear(this.#timer);
    if (outcome === "error" || outcome === "timeout") this.#host.countLoadError(this.space);
    if (this.#startedAt !== undefined) {
      const durationMs = settings.now() - this.#startedAt;
      const { key, space } = this;
      announcer.emit("load", { key, namespace: space.name, durationMs, outcome, stored });
    }
    return true;
  }
}

/** An accessor in an object literal would be slower than a signal is. */
class Context implements ComputeContext {
  readonly tag: ComputeContext["tag"];
  readonly #flight: Flight;

  constructor(flight: Flight) {
    this.#flight = flight;
    this.tag = (...tags) => flight.tag(tags);
  }

  get signal(): AbortSignal {
    return this.#flight.signal;
  }
}
