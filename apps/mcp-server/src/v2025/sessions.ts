import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { sendError } from "../http/json-rpc-error.ts";
import { RequestsUnderWay } from "./requests-under-way.ts";
import { ReplayLog, SessionReplayLog } from "./replay-log.ts";

/** When a client whose stream broke is to ask for the rest. */
const RETRY_MS = 1_000;

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  requests: RequestsUnderWay | undefined;
  /** Responses not ended yet, an open event stream among them. */
  open: number;
  idleSince: number;
}

export interface SessionLimits {
  readonly maxSessions: number;
  readonly sessionIdleMs: number;
  /** Memory for resuming interrupted streams, of all sessions together; 0 for none. */
  readonly replayBytes: number;
}
export interface SessionsOptions extends SessionLimits {
  readonly createServer: () => McpServer;
  readonly reportError: (error: unknown, where: string) => void;
  readonly now?: () => number;
}

/** The sessions of the 2025 protocols over HTTP: bounded in number, closed when idle. */
export class Sessions2025 implements AsyncDisposable {
  readonly #options: Required<SessionsOptions>;
  readonly #sessions = new Map<string, Session>();
  readonly #replayLog: ReplayLog | undefined;
  readonly #sweep: NodeJS.Timeout;
  #starting = 0;

  constructor(options: SessionsOptions) {
    this.#options = { now: () => performance.now(), ...options };
    this.#replayLog = options.replayBytes > 0 ? new ReplayLog(options.replayBytes) : undefined;
    const everyMs = Math.min(options.sessionIdleMs / 2, 30_000);
    this.#sweep = setInterval(() => this.closeIdle(), everyMs).unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  async handle(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers["mcp-session-id"];
    if (id === undefined) {
      if (isInitializeRequest(body)) return this.#start(request, response, body);
      return sendError(
        response,
        400,
        -32000,
        "Bad Request: no Mcp-Session-Id header. Send initialize first, and its session id with every later request.",
      );
    }
    const session = typeof id === "string" ? this.#sessions.get(id) : undefined;
    if (session === undefined)
      return sendError(
        response,
        404,
        -32001,
        "Session not found: it ended or was idle for too long. Send initialize to start another.",
      );
    await this.#serve(session, request, response, body);
  }

  /** Closes every session that has had no open response for the idle time. */
  closeIdle(): void {
    const before = this.#options.now() - this.#options.sessionIdleMs;
    for (const session of this.#sessions.values())
      if (session.open === 0 && session.idleSince <= before)
        session.transport
          .close()
          .catch((error: unknown) => this.#options.reportError(error, "session close"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.allSettled(
      [...this.#sessions.values()].map(async ({ transport, requests }) => {
        await requests?.stop();
        await transport.close();
      }),
    );
  }

  async #start(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    if (this.#sessions.size + this.#starting >= this.#options.maxSessions) {
      response.setHeader("retry-after", "30");
      return sendError(
        response,
        503,
        -32000,
        `The server has its ${this.#options.maxSessions} sessions. Try again later, or end one with DELETE.`,
        { retryAfterMs: 30_000 },
      );
    }
    this.#starting += 1;
    try {
      const session = this.#open();
      await this.#options.createServer().connect(session.transport);
      session.requests = new RequestsUnderWay(session.transport, (error) =>
        this.#options.reportError(error, "http 2025"),
      );
      await this.#serve(session, request, response, body);
      if (session.transport.sessionId === undefined) await session.transport.close();
    } finally {
      this.#starting -= 1;
    }
  }

  #open(): Session {
    const eventStore = this.#replayLog && new SessionReplayLog(this.#replayLog);
    const transport = new StreamableHTTPServerTransport({
      ...(eventStore && { eventStore, retryInterval: RETRY_MS }),
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void this.#sessions.set(id, session),
    });
    transport.onclose = () => {
      eventStore?.clear();
      if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
    };
    transport.onerror = (error) => this.#options.reportError(error, "http 2025");
    const session: Session = {
      transport,
      requests: undefined,
      open: 0,
      idleSince: this.#options.now(),
    };
    return session;
  }

  async #serve(
    session: Session,
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
  ): Promise<void> {
    const duplicate = session.requests?.duplicate(body);
    if (duplicate !== undefined)
      return sendError(
        response,
        400,
        -32600,
        `Invalid request: the id ${JSON.stringify(duplicate).slice(0, 200)} belongs to a request that is still under way. Use an id once.`,
      );
    session.open += 1;
    response.once("close", () => {
      session.open -= 1;
      session.idleSince = this.#options.now();
    });
    await session.transport.handleRequest(request, response, body);
  }
}
