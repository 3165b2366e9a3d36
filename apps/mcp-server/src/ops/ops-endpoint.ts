import type { IncomingMessage, ServerResponse } from "node:http";
import { localhostHostValidation, localhostOriginValidation } from "@modelcontextprotocol/node";

export interface Operations {
  readonly metrics: (
    accept: string | undefined,
  ) => Promise<{ readonly contentType: string; readonly body: string } | undefined>;
  readonly stats: () => Promise<Record<string, unknown>>;
  /** Undefined when the server can serve; otherwise why not. */
  readonly notReady: () => Promise<string | undefined>;
}

type Answer = { readonly status: number; readonly type: string; readonly body: string };
type Route = (request: IncomingMessage) => Promise<Answer>;

/** `/metrics`, `/stats`, `/healthz` and `/readyz`, for programs on the same machine. */
export class OpsEndpoint {
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #hostAllowed = localhostHostValidation();
  readonly #originAllowed = localhostOriginValidation();
  readonly #reportError: (error: unknown, where: string) => void;

  constructor(operations: Operations, reportError: (error: unknown, where: string) => void) {
    this.#reportError = reportError;
    this.#routes = new Map<string, Route>([
      ["/healthz", async () => json(200, { status: "ok" })],
      ["/readyz", async () => ready(await operations.notReady())],
      ["/stats", async () => json(200, await operations.stats())],
      ["/metrics", async ({ headers }) => exposition(await operations.metrics(headers.accept))],
    ]);
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#hostAllowed(request, response) || !this.#originAllowed(request, response)) return;
    const { status, type, body } = await this.#answer(request);
    response.writeHead(status, {
      "content-type": type,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...(status === 405 && { allow: "GET, HEAD" }),
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const pathname = URL.parse(request.url ?? "/", "http://localhost")?.pathname ?? "";
    const route = this.#routes.get(pathname);
    if (route === undefined)
      return json(404, { error: "not found", paths: [...this.#routes.keys()] });
    if (request.method !== "GET" && request.method !== "HEAD")
      return json(405, { error: "method not allowed", allow: "GET, HEAD" });
    try {
      return await route(request);
    } catch (error) {
      this.#reportError(error, `ops ${pathname}`);
      return json(500, { error: "internal error; the server's log has the details" });
    }
  }
}

function ready(reason: string | undefined): Answer {
  return reason === undefined
    ? json(200, { status: "ready" })
    : json(503, { status: "not ready", reason });
}

function exposition(found: { contentType: string; body: string } | undefined): Answer {
  if (found === undefined) return json(404, { error: "metrics are off (features.metrics)" });
  return { status: 200, type: found.contentType, body: found.body };
}

function json(status: number, body: unknown): Answer {
  return {
    status,
    type: "application/json; charset=utf-8",
    body: `${JSON.stringify(body, undefined, 2)}\n`,
  };
}
