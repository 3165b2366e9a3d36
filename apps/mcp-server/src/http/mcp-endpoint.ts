import type { IncomingMessage, ServerResponse } from "node:http";
import {
  localhostHostValidation,
  localhostOriginValidation,
  toWebRequest,
  type NodeIncomingMessageLike,
} from "@modelcontextprotocol/node";
import { isJsonContentType, isLegacyRequest } from "@modelcontextprotocol/server";
import type { Host } from "../host/host.ts";
import { createServer2025 } from "../v2025/server.ts";
import { Sessions2025, type SessionLimits } from "../v2025/sessions.ts";
import { Http2026 } from "../v2026/http.ts";
import { createServer2026 } from "../v2026/server.ts";
import { attachCaller } from "./caller.ts";
import { sendError } from "./json-rpc-error.ts";
import { BodyBudget, BodyError, readJson } from "./read-body.ts";

export interface McpEndpointOptions extends SessionLimits {
  readonly maxBodyBytes: number;
}

/** Makes the server object of a session (2025) or of a request (2026). */
export interface ServerFactories {
  readonly create2025: () => ReturnType<typeof createServer2025>;
  readonly create2026: () => ReturnType<typeof createServer2026>;
}

/** The memory of bodies that are being received, in bodies of the largest size. */
const BODIES_AT_ONCE = 32;
/** How long requests under way may still take when the server is told to stop. */
const DRAIN_MS = 2_000;
/** Then for how long, when no write is done any more, before they get an error. */
const LAST_ANSWERS_MS = 100;
const METHODS = ["GET", "POST", "DELETE"];

/** `/mcp`: the same checks for every request, then the protocol revision that the request speaks. */
export class McpEndpoint implements AsyncDisposable {
  readonly #host: Host;
  readonly #maxBodyBytes: number;
  readonly #bodies: BodyBudget;
  readonly #sessions: Sessions2025;
  readonly #modern: Http2026;
  readonly #underWay = new Set<ServerResponse>();
  #draining = false;
  #onFinished: () => void = () => {};
  readonly #hostAllowed = localhostHostValidation();
  readonly #originAllowed = localhostOriginValidation();

  constructor(
    host: Host,
    options: McpEndpointOptions,
    factories: ServerFactories = {
      create2025: () => createServer2025(host, "http"),
      create2026: () => createServer2026(host, "http"),
    },
  ) {
    const { changes, reportError } = host;
    this.#host = host;
    this.#maxBodyBytes = options.maxBodyBytes;
    this.#bodies = new BodyBudget(BODIES_AT_ONCE * options.maxBodyBytes);
    this.#sessions = new Sessions2025({
      ...options,
      createServer: factories.create2025,
      reportError,
    });
    this.#modern = new Http2026({ createServer: factories.create2026, changes, reportError });
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Never rejects; every request gets an answer. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (!this.#hostAllowed(request, response) || !this.#originAllowed(request, response)) return;
      if (URL.parse(request.url ?? "/", "http://localhost")?.pathname !== "/mcp")
        return sendError(response, 404, -32000, "Not found: the MCP endpoint is /mcp");
      if (!METHODS.includes(request.method ?? "")) {
        response.setHeader("allow", METHODS.join(", "));
        return sendError(response, 405, -32000, `Method not allowed: use ${METHODS.join(", ")}`);
      }
      await this.#route(request, response);
    } catch (error) {
      this.#answer(error, response);
    }
  }

  /** Takes no new request, lets those under way finish for a while, then ends every session and stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining = true;
    await this.#finished(DRAIN_MS);
    this.#host.stopWriting();
    await this.#finished(LAST_ANSWERS_MS);
    for (const response of this.#underWay) if (!response.headersSent) refuseWhileStopping(response);
    await Promise.allSettled([
      this.#sessions[Symbol.asyncDispose](),
      this.#modern[Symbol.asyncDispose](),
    ]);
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = request.method === "POST" ? await this.#readPost(request) : undefined;
    if (this.#draining) return refuseWhileStopping(response);
    if (request.method === "POST") this.#track(response);
    const legacy = await isLegacyRequest(
      await toWebRequest(request as NodeIncomingMessageLike, body),
      body,
    );
    attachCaller(request, this.#host.guardResponse(response));
    await (legacy ? this.#sessions : this.#modern).handle(request, response, body);
  }

  #track(response: ServerResponse): void {
    this.#underWay.add(response);
    response.once("close", () => {
      this.#underWay.delete(response);
      if (this.#underWay.size === 0) this.#onFinished();
    });
  }

  async #finished(limitMs: number): Promise<void> {
    if (this.#underWay.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onFinished = resolve;
    const deadline = setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(deadline);
  }

  async #readPost(request: IncomingMessage): Promise<unknown> {
    if (!isJsonContentType(request.headers["content-type"] ?? null))
      throw new BodyError(
        415,
        -32000,
        "Unsupported media type: send Content-Type: application/json",
      );
    return readJson(request, this.#maxBodyBytes, this.#bodies);
  }

  #answer(error: unknown, response: ServerResponse): void {
    if (response.headersSent) return void response.destroy();
    if (error instanceof BodyError && error.status === 503) response.setHeader("retry-after", "1");
    if (error instanceof BodyError)
      return sendError(response, error.status, error.rpcCode, error.message);
    if (isOverload(error)) return sendOverload(response, error);
    this.#host.reportError(error, "http");
    sendError(response, 500, -32603, "Internal error; the server's log has the details");
  }
}

interface Overload extends Error {
  readonly retryAfterMs: number;
}

/** Errors of admission say when to come again. */
function isOverload(error: unknown): error is Overload {
  return error instanceof Error && typeof (error as Partial<Overload>).retryAfterMs === "number";
}

function sendOverload(response: ServerResponse, { message, retryAfterMs }: Overload): void {
  response.setHeader("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
  sendError(response, 503, -32000, `Overloaded: ${message}`, { retryAfterMs });
}

function refuseWhileStopping(response: ServerResponse): void {
  response.setHeader("connection", "close");
  response.setHeader("retry-after", "1");
  sendError(response, 503, -32000, "The server is stopping", { retryAfterMs: 1_000 });
}
