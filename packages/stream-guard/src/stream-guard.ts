import { randomUUID } from "node:crypto";
import { EventEmitter } from "eventemitter3";
import type { Bank } from "./account.ts";
import { AdmissionError, InvalidArgumentError } from "./errors.ts";
import type { AdmissionReason, MemoryLimitError } from "./errors.ts";
import { GuardCounts } from "./guard-counts.ts";
import type { StreamGuardStats } from "./guard-counts.ts";
import type { LevelEvent, StreamGuardEvents } from "./guard-events.ts";
import { guardFamilies } from "./guard-families.ts";
import { Ledger } from "./ledger.ts";
import { Latch } from "./latch.ts";
import { DEFAULT_LEVELS, LevelGauge, rank } from "./level.ts";
import type { MemoryLevel } from "./level.ts";
import { MemoryHooks } from "./memory-hooks.ts";
import type { HookLevel } from "./memory-hooks.ts";
import type { MetricFamily } from "./metric-families.ts";
import { resolveGuardOptions, resolveOpenOptions } from "./options.ts";
import type { OpenOptions, ResolvedGuardOptions, StreamGuardOptions } from "./options.ts";
import { Relief } from "./relief.ts";
import type { Eviction } from "./relief.ts";
import { ReserveQueue } from "./reserve-queue.ts";
import { safely } from "./safe-emit.ts";
import { SessionRegistry } from "./session-registry.ts";
import type { PrincipalUsage } from "./session-registry.ts";
import { SourceGate } from "./source-gate.ts";
import { StallSweep } from "./stall-sweep.ts";
import { StreamingSession } from "./streaming-session.ts";
import type { SessionHost } from "./streaming-session.ts";

/** Use of the total from which only sessions that hold memory or are at work may take more, until it is below the other. */
const SCARCE_RATIO = 0.95;
const SCARCE_END_RATIO = 0.9;
/** Looks at the readers within the time after which they give way under pressure. */
const LOOKS_WITHIN_GRACE = 4;

/**
 * The memory budget that all streams of a process share, and the sessions that share it. As the
 * total fills: at 70 % hooks shrink caches; at 80 % sources are paused, new sessions are refused and
 * those whose readers stalled are closed, at 90 % the idle ones; at 95 % sessions that hold nothing and
 * have nothing under way are refused memory, at 100 % every reservation is.
 */
export class StreamGuard extends EventEmitter<StreamGuardEvents> {
  readonly #options: ResolvedGuardOptions;
  readonly #ledger: Ledger;
  readonly #queue: ReserveQueue;
  readonly #sessions: SessionRegistry;
  readonly #counts = new GuardCounts();
  readonly #gauge = new LevelGauge(DEFAULT_LEVELS);
  readonly #scarcity: Latch;
  readonly #gate: SourceGate;
  readonly #hooks = new MemoryHooks<LevelEvent>((event) => {
    this.emit("hookError", event);
  });
  readonly #host: SessionHost;
  readonly #relief: Relief;
  #cancelSweep: (() => void) | undefined;
  /** From the last sweep to the next. */
  #sweepDelayMs: number;
  #closed = false;

  /** @throws InvalidArgumentError */
  constructor(options: StreamGuardOptions = {}) {
    super();
    this.#options = resolveGuardOptions(options);
    const { maxMemoryBytes, principalMaxMemoryBytes, maxWaiting, maxPauseMs, schedule } =
      this.#options;
    this.#ledger = new Ledger(maxMemoryBytes);
    this.#sessions = new SessionRegistry(principalMaxMemoryBytes);
    this.#scarcity = new Latch(maxMemoryBytes * SCARCE_RATIO, maxMemoryBytes * SCARCE_END_RATIO);
    this.#gate = new SourceGate(maxPauseMs, schedule);
    this.#queue = new ReserveQueue(maxWaiting, schedule);
    this.#sweepDelayMs = this.#options.sweepIntervalMs;
    this.#relief = this.#createRelief();
    this.#host = this.#createHost();
  }

  get level(): MemoryLevel {
    return this.#gauge.level;
  }

  /**
   * Admits a session.
   *
   * @throws AdmissionError when the guard is full, at 80 % of its memory or closed, or its monitor is critical
   * @throws InvalidArgumentError for a wrong option or an `id` that is already open
   */
  open(options: OpenOptions = {}): StreamingSession {
    const limits = resolveOpenOptions(options, this.#options);
    const { id = randomUUID(), principal, signal } = options;
    if (this.#sessions.has(id)) throw new InvalidArgumentError("id", "an id that is not open", id);
    signal?.throwIfAborted();
    this.#admit(principal);
    const principalLedger = this.#sessions.join(principal);
    const session = new StreamingSession(this.#host, {
      id,
      principal,
      principalLedger,
      signal,
      ...limits,
    });
    this.#sessions.add(session);
    this.#counts.opened += 1;
    this.#armSweep();
    safely(() => this.emit("open", { session }));
    return session;
  }

  /** The sessions open now. */
  sessions(): readonly StreamingSession[] {
    return [...this.#sessions];
  }

  /** The principals with open sessions, and what they hold. */
  principals(): readonly PrincipalUsage[] {
    return this.#sessions.principals;
  }

  /**
   * Runs `hook` whenever the guard's level rises to `level` or beyond, and never twice at once: the place
   * to shrink a cache. What it throws is reported as `hookError`. Returns a function that takes the hook
   * away again.
   *
   * @throws InvalidArgumentError
   */
  addHook(level: HookLevel, hook: (event: LevelEvent) => void | Promise<void>): () => void {
    return this.#hooks.add(level, hook);
  }

  /**
   * Closes what has stalled, been idle or been open for too long. Runs by itself every `sweepIntervalMs`,
   * under pressure four times within `pressureStallTimeoutMs`.
   */
  sweep(): void {
    const now = this.#options.now();
    this.#tend();
    this.#relief.closeStalled(0);
    for (const session of this.sessions()) {
      const idleMs = session.idleForMs(now);
      if (session.operations > 0) continue;
      if (idleMs >= session.idleTimeoutMs) void session.close("idle");
      else if (now - session.startTime >= this.#options.maxAgeMs) void session.close("maxAge");
    }
    this.#relief.lookAgain(now);
    if (this.level === "critical") this.#relief.evictIdle(0);
  }

  stats(): StreamGuardStats {
    const principals = this.principals();
    return {
      level: this.level,
      usedBytes: this.#ledger.usedBytes,
      limitBytes: this.#ledger.limitBytes,
      peakBytes: this.#ledger.peakBytes,
      sessions: this.#sessions.size,
      maxSessions: this.#options.maxSessions,
      principals: principals.length,
      principalLimitBytes: this.#options.principalMaxMemoryBytes,
      principalMostBytes: principals.reduce((most, { usedBytes }) => Math.max(most, usedBytes), 0),
      waiting: this.#queue.size,
      pausedSources: this.#gate.size,
      pauses: this.#gate.pauses,
      opened: this.#counts.opened,
      closed: { ...this.#counts.closed },
      evicted: { ...this.#counts.evicted },
      rejected: { ...this.#counts.rejected },
      limited: { ...this.#counts.limited },
      softLimits: this.#counts.softLimits,
      hooksRun: this.#hooks.started,
      hookErrors: this.#hooks.errors,
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return guardFamilies(() => this.stats());
  }

  /** Closes every session and admits no more. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    await Promise.all(this.sessions().map((session) => session.close("guard")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #createRelief(): Relief {
    const { evictAfterIdleMs, sweepIntervalMs, now } = this.#options;
    return new Relief({
      sessions: this.#sessions,
      ledger: this.#ledger,
      stalls: new StallSweep(this.#options),
      evictAfterIdleMs,
      now,
      level: () => this.level,
      plannedMs: () => this.#sweepDelayMs,
      againAfterMs: { idle: () => sweepIntervalMs, stalled: () => this.#nextSweepDelayMs() },
      evict: (eviction) => {
        this.#evict(eviction);
      },
    });
  }

  #createHost(): SessionHost {
    const { reserveTimeoutMs, now, schedule } = this.#options;
    return {
      bank: this.#createBank(),
      reserveTimeoutMs,
      now,
      schedule,
      relieve: (asking, bytes) => this.#relief.makeRoom(asking, bytes),
      softLimit: (session) => {
        this.#onSoftLimit(session);
      },
      waited: (session, startedAt) => {
        if (this.listenerCount("wait") === 0) return;
        safely(() => this.emit("wait", { session, waitMs: now() - startedAt }));
      },
      closed: (session) => {
        this.#onClosed(session);
      },
    };
  }

  #createBank(): Bank {
    return {
      ledger: this.#ledger,
      queue: this.#queue,
      gate: this.#gate,
      scarcity: this.#scarcity,
      calmBelowBytes: this.#calmBelowBytes(),
      retryAfterMs: this.#options.retryAfterMs,
      moved: () => {
        this.#followLevel();
      },
      limit: (error) => {
        this.#onLimit(error);
      },
    };
  }

  #admit(principal: string | undefined): void {
    const { maxSessions, maxSessionsPerPrincipal, monitor } = this.#options;
    if (this.#closed) this.#reject("closed", "the guard is closed", principal);
    if (monitor?.level === "critical")
      this.#reject("pressure", "the process is critically short of memory", principal);
    if (this.#pressed) this.#reject("memory", "80 % of the guard's memory is in use", principal);
    if (this.#sessions.size >= maxSessions)
      this.#reject("sessions", `${maxSessions} sessions are open`, principal);
    if (principal !== undefined && this.#sessions.countOf(principal) >= maxSessionsPerPrincipal)
      this.#reject(
        "principal",
        `${maxSessionsPerPrincipal} sessions of its principal are open`,
        principal,
      );
  }

  #reject(reason: AdmissionReason, detail: string, principal: string | undefined): never {
    const error = new AdmissionError(reason, detail, this.#options.retryAfterMs);
    this.#counts.rejected[reason] += 1;
    safely(() => this.emit("reject", { error, reason, principal }));
    throw error;
  }

  /** Below it nothing can change while the level is normal; at other levels everything is looked at. */
  #calmBelowBytes(): number {
    const calm = this.level === "normal";
    return calm ? Math.floor(this.#ledger.limitBytes * DEFAULT_LEVELS.elevated) : 0;
  }

  #followLevel(): void {
    const { usedBytes, limitBytes } = this.#ledger;
    this.#scarcity.update(usedBytes);
    const previous = this.#gauge.update(usedBytes / limitBytes);
    if (previous === undefined) return;
    this.#host.bank.calmBelowBytes = this.#calmBelowBytes();
    const { level } = this;
    const event = { level, previous, usedBytes, limitBytes };
    this.#gate.shut = this.#pressed;
    safely(() => this.emit("level", event));
    this.#hooks.onLevel(event);
    if (previous === "normal") this.#tend();
    if (rank(level) < rank(previous) || !this.#pressed) return;
    this.#relief.closeStalled(0);
    if (this.level === "critical") this.#relief.evictIdle(0);
    this.#hastenSweep();
  }

  #tend(): void {
    for (const session of this.sessions()) session.tend(this.level !== "normal");
  }

  get #pressed(): boolean {
    return this.level === "high" || this.level === "critical";
  }

  #evict({ session, reason, idleMs, error }: Eviction): void {
    const freedBytes = session.memoryUsageBytes;
    this.#counts.evicted[reason] += 1;
    void session.close("evicted", error);
    safely(() => this.emit("evict", { session, reason, idleMs, freedBytes }));
  }

  #onSoftLimit(session: StreamingSession): void {
    const { memoryUsageBytes: usedBytes, maxMemoryBytes: limitBytes } = session;
    this.#counts.softLimits += 1;
    safely(() => this.emit("softLimit", { session, usedBytes, limitBytes }));
  }

  #onLimit(error: MemoryLimitError): void {
    this.#counts.limited[error.scope] += 1;
    safely(() => this.emit("limit", { error }));
  }

  #onClosed(session: StreamingSession): void {
    const { closeReason: reason = "closed", peakBytes, startTime } = session;
    this.#sessions.delete(session);
    this.#counts.countClose(reason);
    if (this.listenerCount("close") === 0) return;
    const durationMs = this.#options.now() - startTime;
    safely(() => this.emit("close", { session, reason, durationMs, peakBytes }));
  }

  #armSweep(): void {
    if (this.#cancelSweep !== undefined) return;
    this.#sweepDelayMs = this.#nextSweepDelayMs();
    this.#cancelSweep = this.#options.schedule(() => {
      this.#cancelSweep = undefined;
      this.sweep();
      if (this.#sessions.size > 0) this.#armSweep();
    }, this.#sweepDelayMs);
  }

  /** Under pressure the next sweep must not be as far off as it was planned. */
  #hastenSweep(): void {
    if (this.#cancelSweep === undefined) return;
    this.#cancelSweep();
    this.#cancelSweep = undefined;
    this.#armSweep();
  }

  #nextSweepDelayMs(): number {
    const { sweepIntervalMs, pressureStallTimeoutMs } = this.#options;
    if (!this.#pressed) return sweepIntervalMs;
    return Math.min(sweepIntervalMs, Math.max(1, pressureStallTimeoutMs / LOOKS_WITHIN_GRACE));
  }
}
