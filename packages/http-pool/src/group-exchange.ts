import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import { Attempt } from "./attempt.ts";
import { discard } from "./discard.ts";
import type { Discarding } from "./discard.ts";
import { UpstreamUnavailableError } from "./errors.ts";
import { isUnsent } from "./failure-kind.ts";
import type { FailureKind } from "./failure-kind.ts";
import type { GroupContext } from "./group-context.ts";
import type { RetryReason } from "./group-events.ts";
import { LinkedNode } from "./linked-list.ts";
import { laneOf } from "./prepare-dispatch.ts";
import type { PoolDispatchOptions, RequestLane } from "./prepare-dispatch.ts";
import type { Replica } from "./replica.ts";
import { isReplayable, isSafe } from "./replayable.ts";
import { retryAfterMsOf } from "./retry-after.ts";
import { RetryPlan } from "./retry-plan.ts";
import type { Route } from "./router.ts";
import { safely } from "./safely.ts";

type Controller = Dispatcher.DispatchController;

const LOST = new Error("another upstream answered first");

/**
 * One request of a caller, sent to one upstream or, one after another or at the same time, to several. The
 * caller sees one start, and the first answer that is good enough; once it has seen headers, nothing is sent
 * again.
 */
export class GroupExchange implements Discarding {
  readonly options: PoolDispatchOptions;
  readonly lane: RequestLane;
  readonly createdAt: number;
  /** It may be sent again after a failure. */
  readonly replayable: boolean;
  readonly route: Route;
  readonly #context: GroupContext;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #plan: RetryPlan;
  readonly #hedged: LinkedNode<GroupExchange> = new LinkedNode<GroupExchange>(this);
  readonly #live = new Set<Attempt>();
  #first: Attempt | undefined;
  #hedge: Attempt | undefined;
  #winner: Attempt | undefined;
  #over = false;
  #aborted = false;
  #paused = false;
  #reason: Error | null = null;
  #lastError: Error | undefined;

  constructor(
    context: GroupContext,
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ) {
    this.#context = context;
    this.#handler = handler;
    this.options = options;
    this.lane = laneOf(options);
    this.createdAt = context.options.now();
    this.replayable = isReplayable(options) && !options.upgrade && options.method !== "CONNECT";
    this.route = context.router.route(options);
    this.#plan = new RetryPlan(context, this);
  }

  /** False when its upstream has no connection free. */
  begin(): boolean {
    const { report, retries, router, hedges } = this.#context;
    report.counters.calls += 1;
    retries.deposit();
    hedges?.budget.deposit();
    try {
      this.#handler.onRequestStart?.(this, undefined);
    } catch (error) {
      this.#fail(error as Error);
    }
    if (this.#over) return true;
    const replica = router.pick(this.route, []);
    if (replica === undefined) {
      report.counters.unroutable += 1;
      this.#fail(this.#context.noRoute(this));
      return true;
    }
    const accepted = this.#send(replica);
    if (hedges === undefined || this.#over) return accepted;
    if (this.safe && !this.route.sticky && this.lane === "request") hedges.queue.add(this.#hedged);
    return accepted;
  }

  /** It may be under way twice at once. */
  get safe(): boolean {
    return this.replayable && isSafe(this.options);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get rawHeaders(): NonNullable<Controller["rawHeaders"]> | null {
    return this.#winner?.controller?.rawHeaders ?? null;
  }

  get rawTrailers(): NonNullable<Controller["rawTrailers"]> | null {
    return this.#winner?.controller?.rawTrailers ?? null;
  }

  abort(reason: Error): void {
    if (this.#over || this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    // The pool answers with an error, which ends the exchange.
    if (this.#winner !== undefined) this.#winner.cancel(reason);
    else this.#fail(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#winner?.controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#winner?.controller?.resume();
  }

  discard(reason: Error): void {
    this.#paused = false;
    if (this.#winner?.controller !== undefined) discard(this.#winner.controller, reason);
  }

  /** The group ends, so that it is not sent again. */
  giveUp(error: Error): void {
    this.#fail(this.#lastError ?? error);
  }

  /** It has waited so long for an answer that another upstream is asked. */
  hedge(): void {
    const { hedges, report, options } = this.#context;
    hedges?.queue.remove(this.#hedged);
    const from = this.#first;
    const next = this.#another();
    if (next === undefined || from === undefined || hedges === undefined) return;
    if (!hedges.budget.withdraw()) {
      report.counters.overBudget += 1;
      return;
    }
    const delayMs = options.now() - this.createdAt;
    report.hedge({ upstream: next.upstream, from: from.replica.upstream, delayMs });
    this.#send(next, "hedge");
  }

  /** The upstream of an attempt is silent; should it come back first, its answer is taken. */
  suspected(attempt: Attempt): void {
    const next = this.#another();
    if (next === undefined || !this.#plan.withdraw()) return;
    this.#again(attempt, next, "hang", 0);
  }

  /** A pool may send it once more, since its connection turned out to be dead: that is a retry like any other. */
  mayReplay(): boolean {
    return this.#plan.mayReplay();
  }

  informed(
    attempt: Attempt,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    if (attempt === this.#first && !this.#over && this.#winner === undefined)
      this.#handler.onResponseStart?.(this, statusCode, headers, statusMessage);
  }

  answered(
    attempt: Attempt,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    this.#live.delete(attempt);
    const { statusCodes } = this.#context.options.retry;
    const failed = statusCodes.has(statusCode) && this.replayable;
    const late = this.#over || this.#winner !== undefined;
    if (late || (failed && this.#goOn(attempt, "status", retryAfterMsOf(headers)))) {
      attempt.discard();
      return;
    }
    this.#settle(attempt);
    this.#context.router.learn(this.options, this.route, attempt.replica, statusCode, headers);
    if (this.#paused) attempt.controller?.pause();
    this.#handler.onResponseStarted?.();
    this.#handler.onResponseStart?.(this, statusCode, headers, statusMessage);
  }

  upgraded(
    attempt: Attempt,
    statusCode: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.#live.delete(attempt);
    this.#settle(attempt);
    this.#over = true;
    this.#handler.onRequestUpgrade?.(this, statusCode, headers, socket);
  }

  data(chunk: Buffer): void {
    this.#handler.onResponseData?.(this, chunk);
  }

  ended(trailers: IncomingHttpHeaders): void {
    this.#over = true;
    try {
      this.#handler.onResponseEnd?.(this, trailers);
    } catch (error) {
      safely("onResponseError", () => this.#handler.onResponseError?.(this, error as Error));
    }
  }

  failed(attempt: Attempt, error: Error, kind: FailureKind | undefined): void {
    this.#live.delete(attempt);
    if (isUnsent(error)) this.#plan.unsent();
    if (this.#over || (this.#winner !== undefined && attempt !== this.#winner)) return;
    this.#lastError = error;
    if (this.#winner === undefined) {
      // Another attempt is still under way, and may do better.
      if (this.#live.size > 0) return;
      const repeatable = isUnsent(error) || (this.replayable && kind !== undefined);
      if (repeatable && this.#goOn(attempt, kind ?? "unsent")) return;
    }
    this.#fail(error);
  }

  bodySent(attempt: Attempt, chunk: Buffer): void {
    if (attempt === this.#first) this.#handler.onBodySent?.(chunk);
  }

  requestSent(attempt: Attempt): void {
    if (attempt === this.#first) this.#handler.onRequestSent?.();
  }

  /** Whether another attempt is under way or can be made. */
  #goOn(attempt: Attempt, reason: RetryReason, retryAfterMs?: number): boolean {
    if (this.#live.size > 0) return true;
    return this.#plan.next(attempt.replica, retryAfterMs, (next, delayMs) => {
      if (next !== undefined) this.#again(attempt, next, reason, delayMs);
      else this.#fail(this.#lastError ?? this.#context.noRoute(this));
    });
  }

  /** A second upstream for a request that waits for its first, and may be under way twice. */
  #another(): Replica | undefined {
    const waits = !this.#over && this.#winner === undefined && this.#live.size === 1;
    return waits && this.safe ? this.#plan.another() : undefined;
  }

  #again(from: Attempt, next: Replica, reason: RetryReason, delayMs: number): void {
    this.#context.report.retry({
      upstream: next.upstream,
      from: from.replica.upstream,
      reason,
      attempt: this.#plan.attempts + 1,
      delayMs,
    });
    this.#send(next);
  }

  #send(replica: Replica, kind?: "hedge"): boolean {
    this.#plan.sent(replica);
    const attempt = new Attempt(this.#context, this, replica);
    this.#first ??= attempt;
    if (kind === "hedge") this.#hedge = attempt;
    this.#live.add(attempt);
    return replica.pool.dispatch({ ...this.options, origin: replica.upstream }, attempt);
  }

  /** From now on there is one attempt. */
  #settle(winner: Attempt): void {
    this.#winner = winner;
    if (winner === this.#hedge) this.#context.report.counters.hedgesWon += 1;
    this.#stop(LOST);
  }

  #stop(reason: Error): void {
    this.#context.hedges?.queue.remove(this.#hedged);
    this.#plan.stop();
    for (const attempt of this.#live) attempt.cancel(reason);
    this.#live.clear();
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    const told = this.#describe(error);
    this.#reason ??= told;
    this.#stop(told);
    safely("onResponseError", () => this.#handler.onResponseError?.(this, told));
  }

  /** Of several upstreams that could not be reached, all are named. */
  #describe(error: Error): Error {
    const { attempts, upstreams } = this.#plan;
    if (!(error instanceof UpstreamUnavailableError) || attempts < 2) return error;
    const { upstream, retryAfterMs } = error;
    return new UpstreamUnavailableError(
      { upstream, upstreams, attempts, retryAfterMs },
      error.cause,
    );
  }
}
