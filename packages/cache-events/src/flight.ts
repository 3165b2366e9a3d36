import type { LoadEvent } from "./cache-events.ts";
import { LoadTimeoutError } from "./errors.ts";
import type { Host } from "./host.ts";
import type { Space } from "./space.ts";

export interface ComputeContext {
  /** Aborts when the last reader has left, on `loadTimeoutMs`, and when the cache is closed. */
  readonly signal: AbortSignal;
  /** Adds tags that are known only while computing. */
  readonly tag: (...tags: string[]) => void;
}

export type Compute<V> = (context: ComputeContext) => V | Promise<V>;

export interface FlightPlan {
  readonly compute: Compute<unknown>;
  tag(tags: readonly string[]): void;
  /** Takes the result; tells whether it was stored. */
  land(value: unknown): boolean | Promise<boolean>;
  /** The flight ended without a result. */
  leave(): void;
}

/** One compute and the readers that wait for it. */
export class Flight {
  readonly space: Space;
  readonly key: string;
  /** A tag that came out of the compute had been invalidated since it began. */
  lateMoved = false;
  readonly #host: Host;
  readonly #controller = new AbortController();
  readonly #outcome = Promise.withResolvers<unknown>();
  #plan: FlightPlan | undefined;
  #timer: unknown;
  #waiters = 0;
  #startedAt: number | undefined;

  constructor(host: Host, space: Space, key: string) {
    this.#host = host;
    this.space = space;
    this.key = key;
    this.#outcome.promise.catch(() => {});
  }

  /** Calls the compute at once; never rejects. */
  async run(plan: FlightPlan): Promise<void> {
    const { settings, announcer, closed } = this.#host;
    if (closed !== undefined) {
      plan.leave();
      return this.#outcome.reject(closed);
    }
    this.#plan = plan;
    this.#host.running.add(this);
    this.#host.countLoad(this.space);
    this.#startedAt = announcer.hears("load") ? settings.now() : undefined;
    this.#timer = settings.timers.set(
      () => this.abandon(new LoadTimeoutError(settings.loadTimeoutMs), "timeout"),
      settings.loadTimeoutMs,
    );
    try {
      const value = await plan.compute(this.#context(plan));
      if (this.#plan === undefined) return;
      const landing = plan.land(value);
      const stored = typeof landing === "boolean" ? landing : await landing;
      if (this.#end("ok", stored)) this.#outcome.resolve(value);
    } catch (error) {
      if (!this.#end("error", false)) return;
      plan.leave();
      this.#outcome.reject(error);
    }
  }

  /** Resolves with the result. A reader that aborts leaves alone; the last one takes the compute along. */
  wait(signal: AbortSignal | undefined): Promise<unknown> {
    this.#waiters++;
    if (signal === undefined) return this.#outcome.promise;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        reject(signal.reason as Error);
        if (--this.#waiters === 0) this.abandon(signal.reason, "aborted");
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#outcome.promise
        .then(resolve, reject)
        .finally(() => signal.removeEventListener("abort", abort));
    });
  }

  /** Ends the flight with `error` for everyone who waits; does nothing when it has ended. */
  abandon(error: unknown, outcome: "timeout" | "aborted"): void {
    const plan = this.#plan;
    if (plan === undefined || !this.#end(outcome, false)) return;
    plan.leave();
    this.#outcome.reject(error);
    this.#controller.abort(error);
  }

  #context(plan: FlightPlan): ComputeContext {
    return {
      signal: this.#controller.signal,
      tag: (...tags) => {
        if (this.#plan !== undefined) plan.tag(tags);
      },
    };
  }

  #end(outcome: LoadEvent["outcome"], stored: boolean): boolean {
    if (this.#plan === undefined) return false;
    this.#plan = undefined;
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
