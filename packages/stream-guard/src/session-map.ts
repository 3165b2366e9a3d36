import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { BoundedEventStore, resolveEventStoreOptions } from "./bounded-event-store.ts";
import type { EventStoreOptions } from "./bounded-event-store.ts";
import { AdmissionError, InvalidArgumentError } from "./errors.ts";
import { guardTransport, resolveTransportLimits } from "./guard-transport.ts";
import type { GuardTransportOptions } from "./guard-transport.ts";
import type { TransportLike } from "./guarded-transport.ts";
import { answerAdmission, refuse } from "./http-refusal.ts";
import type { Refusal } from "./http-refusal.ts";
import { checkOpenOptions, duration, fn, record } from "./options.ts";
import { safely } from "./safe-emit.ts";
import { unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { StreamingSession } from "./streaming-session.ts";

const INITIALIZE_TIMEOUT_MS = 30_000;
/** What each session has of its own, so that it cannot be a limit for all of them. */
const OF_EACH_SESSION = ["id", "principal", "destination", "session"] as const;

/** A Streamable HTTP transport of either SDK, for `node:http`. */
export interface SessionTransport extends TransportLike {
  readonly sessionId?: string | undefined;
  handleRequest(request: IncomingMessage, response: ServerResponse, body?: unknown): Promise<void>;
}

/** To be passed on to the transport's constructor. */
export interface SessionTransportOptions {
  readonly sessionIdGenerator: () => string;
  /** Present when the map was given `events`. */
  readonly eventStore?: BoundedEventStore;
}

export interface SessionMapOptions<T extends SessionTransport> {
  /** Makes the transport of a new session: `(options) => new StreamableHTTPServerTransport(options)`. */
  readonly transport: (options: SessionTransportOptions, request: IncomingMessage) => T;
  /** Connects a server to it. */
  readonly connect: (transport: T, request: IncomingMessage) => Promise<void>;
  /** Whom a request is from: counted against `maxSessionsPerPrincipal`, and nobody else may use the session. */
  readonly principal?: (request: IncomingMessage) => string | undefined;
  /** What each session may hold and how long it may wait; the guard's own limits by default. */
  readonly limits?: Omit<GuardTransportOptions, (typeof OF_EACH_SESSION)[number]>;
  /** Makes streams resumable, with a bounded history for each session. */
  readonly events?: EventStoreOptions;
  /** A session that nobody has initialized after so long is closed. */
  readonly initializeTimeoutMs?: number;
  /** Errors of `transport`, `connect` and `handleRequest`; whoever asked was answered. */
  readonly onerror?: (error: unknown) => void;
  readonly schedule?: Schedule;
}

interface Entry<T> {
  readonly transport: T;
  readonly principal: string | undefined;
}

const NOT_FOUND: Refusal = { status: 404, code: -32_001, message: "Session not found" };
const NO_SESSION: Refusal = {
  status: 400,
  code: -32_000,
  message: "Bad Request: Mcp-Session-Id header is required",
};
const METHOD: Refusal = {
  status: 405,
  code: -32_000,
  message: "Method not allowed.",
  headers: { allow: "GET, POST, DELETE" },
};
const FAILED: Refusal = { status: 500, code: -32_603, message: "Internal server error" };

/**
 * The sessions of a Streamable HTTP server of the 2025 protocol, each with a guarded transport: as many
 * as the guard admits, closed when idle, and unknown to it afterwards, so that their clients begin anew.
 */
export class SessionMap<T extends SessionTransport> implements AsyncDisposable {
  readonly #guard: StreamGuard;
  readonly #options: SessionMapOptions<T>;
  readonly #initializeTimeoutMs: number;
  readonly #schedule: Schedule;
  readonly #entries = new Map<string, Entry<T>>();
  #closed = false;

  /** @throws InvalidArgumentError for any option that is wrong, those for each session included */
  constructor(guard: StreamGuard, options: SessionMapOptions<T>) {
    record("options", options);
    this.#guard = guard;
    this.#options = options;
    const { transport, connect, principal, limits, events, onerror } = options;
    fn("transport", transport);
    fn("connect", connect);
    if (principal !== undefined) fn("principal", principal);
    if (limits !== undefined) checkLimits(limits, guard.stats().limitBytes);
    if (events !== undefined) checkEvents(events);
    if (onerror !== undefined) fn("onerror", onerror);
    this.#initializeTimeoutMs = duration(
      "initializeTimeoutMs",
      options.initializeTimeoutMs ?? INITIALIZE_TIMEOUT_MS,
    );
    this.#schedule = fn("schedule", options.schedule ?? unrefSchedule);
  }

  /** Sessions open now, those being initialized included. */
  get size(): number {
    return this.#entries.size;
  }

  get(id: string): T | undefined {
    return this.#entries.get(id)?.transport;
  }

  transports(): readonly T[] {
    return [...this.#entries.values()].map(({ transport }) => transport);
  }

  /**
   * Answers a request to the MCP endpoint: by its session's transport; by a new one if it initializes a
   * session; else 404 for an unknown session, 400 without one, 503 when the guard admits none. Never rejects.
   */
  async handleRequest(
    request: IncomingMessage,
    response: ServerResponse,
    parsedBody?: unknown,
  ): Promise<void> {
    const id = request.headers["mcp-session-id"];
    try {
      if (id === undefined) await this.#begin(request, response, parsedBody);
      else await this.#goOn(String(id), request, response, parsedBody);
    } catch (error) {
      if (answerAdmission(response, error)) return;
      this.#report(error);
      refuse(response, FAILED);
    }
  }

  /** Closes every session and opens no more. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.transports().map((transport) => this.#end(transport)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #goOn(
    id: string,
    request: IncomingMessage,
    response: ServerResponse,
    parsedBody: unknown,
  ): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.principal !== this.#principalOf(request))
      refuse(response, NOT_FOUND);
    else await entry.transport.handleRequest(request, response, parsedBody);
  }

  async #begin(
    request: IncomingMessage,
    response: ServerResponse,
    parsedBody: unknown,
  ): Promise<void> {
    const { method = "" } = request;
    if (method !== "POST")
      return refuse(response, ["GET", "DELETE"].includes(method) ? NO_SESSION : METHOD);
    if (parsedBody !== undefined && !initializes(parsedBody)) return refuse(response, NO_SESSION);
    if (response.destroyed) return undefined;
    const session = this.#open(request);
    try {
      const transport = this.#transportOf(session, request);
      this.#watch(transport, response);
      await this.#options.connect(transport, request);
      await transport.handleRequest(request, response, parsedBody);
    } catch (error) {
      await session.close("failed");
      throw error;
    }
  }

  #open(request: IncomingMessage): StreamingSession {
    if (this.#closed) throw new AdmissionError("closed", "the server is closing", 1000);
    const principal = this.#principalOf(request);
    return this.#guard.open({
      id: randomUUID(),
      ...this.#options.limits,
      ...(principal === undefined ? {} : { principal }),
    });
  }

  #transportOf(session: StreamingSession, request: IncomingMessage): T {
    const { transport: create, events, limits } = this.#options;
    const { id, principal } = session;
    const eventStore =
      events === undefined ? {} : { eventStore: new BoundedEventStore(session, events) };
    const plain = create({ sessionIdGenerator: () => id, ...eventStore }, request);
    const transport = guardTransport(plain, this.#guard, { ...limits, session });
    this.#entries.set(id, { transport, principal });
    session.onClose(() => void this.#entries.delete(id));
    return transport;
  }

  /** Closes a session of which nobody will ever know the id. */
  #watch(transport: T, response: ServerResponse): void {
    const cancel = this.#schedule(() => {
      if (transport.sessionId === undefined) response.destroy();
    }, this.#initializeTimeoutMs);
    response.once("close", () => {
      cancel();
      if (transport.sessionId === undefined || !response.writableFinished)
        void this.#end(transport);
    });
  }

  async #end(transport: T): Promise<void> {
    try {
      await transport.close();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    safely(() => this.#options.onerror?.(error));
  }

  #principalOf(request: IncomingMessage): string | undefined {
    return this.#options.principal?.(request);
  }
}

function checkLimits(limits: GuardTransportOptions, maxMemoryBytes: number): void {
  record("limits", limits);
  for (const name of OF_EACH_SESSION) {
    if (limits[name] !== undefined)
      throw new InvalidArgumentError(
        `limits.${name}`,
        "nothing: each session has its own",
        limits[name],
      );
  }
  checkOpenOptions(limits, maxMemoryBytes);
  resolveTransportLimits(limits);
}

function checkEvents(events: EventStoreOptions): void {
  record("events", events);
  resolveEventStoreOptions(events, 0);
}

function initializes(body: unknown): boolean {
  const messages: unknown[] = Array.isArray(body) ? body : [body];
  return messages.some(
    (message) => (message as { method?: unknown } | null)?.method === "initialize",
  );
}
