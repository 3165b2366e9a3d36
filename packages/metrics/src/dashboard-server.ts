import type { IncomingMessage, ServerResponse } from "node:http";
import { Actions } from "./dashboard-actions.ts";
import { loadAssets } from "./dashboard-assets.ts";
import type { Assets } from "./dashboard-assets.ts";
import { resolveDashboardOptions } from "./dashboard-options.ts";
import type { DashboardOptions, ResolvedDashboardOptions } from "./dashboard-options.ts";
import type { DashboardHistory } from "./dashboard-protocol.ts";
import { Sampler } from "./dashboard-sampler.ts";
import { StreamClients } from "./dashboard-stream.ts";
import { answer, answerRefusal, answerText } from "./endpoint-answer.ts";
import type { EndpointGuard } from "./endpoint-guard.ts";
import type { Refusal } from "./endpoint-refusal.ts";
import { ResponseSlots } from "./endpoint-slots.ts";
import type { EndpointHandler } from "./handler.ts";
import type { ScalarFamily } from "./metric-families.ts";
import type { FamilySnapshot } from "./snapshot.ts";

/** The part of `Metrics` that is needed. */
export interface DashboardMetrics {
  snapshot(): Promise<Readonly<Record<string, FamilySnapshot>>>;
}

export interface DashboardStats {
  readonly clients: number;
  readonly droppedClients: number;
  readonly frames: number;
  readonly failedFrames: number;
  readonly historyBytes: number;
  readonly refused: Readonly<Record<string, number>>;
}

const PERIOD_MS = 1_000;
const HISTORY_LENGTH = 900;
const WINDOW_FRAMES = 10;
const MAX_ANSWERS = 64;
const READ_TIMEOUT_MS = 30_000;

const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};

export class Dashboard implements Disposable {
  /** A `node:http` listener for everything under the base path. Never throws. */
  readonly handler: EndpointHandler;
  readonly #metrics: DashboardMetrics;
  readonly #options: ResolvedDashboardOptions;
  readonly #guard: EndpointGuard | undefined;
  readonly #sampler: Sampler;
  readonly #clients: StreamClients;
  readonly #actions: Actions;
  readonly #slots = new ResponseSlots(MAX_ANSWERS, READ_TIMEOUT_MS);
  readonly #refused = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #originMs: number;
  #assets: Promise<Assets> | undefined;
  #history: string | undefined;
  #sampling = false;
  #frames = 0;
  #failedFrames = 0;
  #closed = false;

  constructor(metrics: DashboardMetrics, options: DashboardOptions) {
    this.#metrics = metrics;
    this.#options = resolveDashboardOptions(options);
    const { guard, now, date, log } = this.#options;
    this.#guard = guard;
    this.#sampler = new Sampler({
      ...this.#options,
      historyLength: HISTORY_LENGTH,
      windowFrames: WINDOW_FRAMES,
    });
    this.#clients = new StreamClients(this.#options.maxClients, this.#options.maxBufferedBytes);
    const { actions, actionsPerMinute: perMinute, actionTimeoutMs: timeoutMs } = this.#options;
    this.#actions = new Actions({ actions, log, perMinute, timeoutMs, now });
    this.#originMs = date() - now();
    const handler = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    this.handler = Object.assign(handler, { hasToken: this.#guard?.hasToken ?? false });
    this.#timer = setInterval(() => void this.sample(), PERIOD_MS).unref();
    void this.sample();
  }

  /** Takes one frame now, as the timer does every second. Skipped while the last one is not done. Never rejects. */
  async sample(): Promise<void> {
    if (this.#sampling || this.#closed) return;
    this.#sampling = true;
    try {
      const atMs = this.#originMs + this.#options.now();
      const snapshot = await this.#metrics.snapshot();
      if (this.#closed) return;
      this.#sampler.add(atMs, snapshot);
      this.#frames += 1;
      this.#history = undefined;
      this.#clients.send(this.#event());
    } catch {
      this.#failedFrames += 1;
      this.#clients.send(undefined);
    } finally {
      this.#sampling = false;
    }
  }

  stats(): DashboardStats {
    return {
      clients: this.#clients.size,
      droppedClients: this.#clients.dropped,
      frames: this.#frames,
      failedFrames: this.#failedFrames,
      historyBytes: this.#sampler.ring.bytes,
      refused: Object.fromEntries(this.#refused),
    };
  }

  /** What the dashboard says about itself, to be collected. */
  metricFamilies(): readonly ScalarFamily[] {
    return [
      one("gauge", "dashboard_clients", "Live clients", () => this.#clients.size),
      one(
        "counter",
        "dashboard_clients_dropped_total",
        "Live clients that read too slowly",
        () => this.#clients.dropped,
      ),
      {
        ...one(
          "counter",
          "dashboard_requests_refused_total",
          "Requests refused, by reason",
          () => 0,
        ),
        labels: ["reason"],
        read: () => Array.from(this.#refused, ([reason, value]) => ({ value, labels: { reason } })),
      },
      {
        ...one("counter", "dashboard_actions_total", "Actions of operators, by outcome", () => 0),
        labels: ["action", "outcome"],
        read: () =>
          Array.from(this.#actions.counts, ([key, value]) => {
            const [action = "", outcome = ""] = key.split(" ");
            return { value, labels: { action, outcome } };
          }),
      },
    ];
  }

  /** Ends the live streams and the timer. Requests are answered with 503 from now on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#clients.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { basePath } = this.#options;
    const pathname = (request.url ?? "").split("?", 1)[0] ?? "";
    const refusal = this.#refusalOf(request, pathname);
    if (refusal !== undefined) return this.#refuse(request, response, refusal);
    if (this.#closed) return answerText(request, response, 503, "The dashboard is closed\n");
    if (basePath !== "" && pathname === basePath) {
      return answerText(request, response, 308, "", { location: `${basePath}/` });
    }
    const path = pathname.startsWith(`${basePath}/`)
      ? pathname.slice(basePath.length + 1)
      : undefined;
    if (path?.startsWith("api/actions/")) return await this.#act(path.slice(12), request, response);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return answerText(request, response, 405, "Method Not Allowed\n", { allow: "GET, HEAD" });
    }
    if (path === "api/stream") return this.#stream(request, response);
    if (!this.#slots.take(response)) return this.#busy(request, response);
    if (path === "api/history") return this.#json(request, response, this.#historyText());
    if (path === "api/snapshot") {
      return this.#json(request, response, JSON.stringify(this.#sampler.last ?? null));
    }
    return await this.#page(path, request, response);
  }

  // Actions ask for their own token. The page itself tells nothing: it asks for the token before it reads anything.
  #refusalOf(request: IncomingMessage, pathname: string): Refusal | undefined {
    const { basePath } = this.#options;
    if (pathname.startsWith(`${basePath}/api/actions/`)) return this.#guard?.refuseSite(request);
    if (pathname.startsWith(`${basePath}/api/`)) return this.#guard?.refuse(request);
    return this.#guard?.refusePage(request);
  }

  async #page(
    path: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const name = path === "" ? "index.html" : path;
    this.#assets ??= loadAssets();
    const assets = await this.#assets.catch((error: unknown) => {
      this.#assets = undefined;
      process.emitWarning(error as Error);
      return undefined;
    });
    if (assets === undefined) return answerText(request, response, 500, "The page is missing\n");
    const asset = assets.get(name ?? "");
    if (asset === undefined) return answerText(request, response, 404, "Not Found\n", PAGE_HEADERS);
    const headers = { ...PAGE_HEADERS, "content-type": asset.contentType };
    const { hasToken } = this.handler;
    const body =
      name === "index.html" && hasToken
        ? asset.body.toString().replace("<html", '<html data-token="needed"')
        : asset.body;
    answer(request, response, 200, headers, body);
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "HEAD") {
      return answer(
        request,
        response,
        200,
        { "content-type": "text/event-stream; charset=utf-8" },
        "",
      );
    }
    if (this.#clients.isFull) return this.#busy(request, response);
    this.#clients.add(response, this.#event());
  }

  async #act(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") {
      return answerText(request, response, 405, "Method Not Allowed\n", { allow: "POST" });
    }
    const refusal = this.#options.refuseAction(request);
    if (refusal !== undefined) return this.#refuse(request, response, refusal);
    await this.#actions.handle(name, request, response);
  }

  #event(): string {
    const { last } = this.#sampler;
    return last === undefined ? "" : `data: ${JSON.stringify(last)}\n\n`;
  }

  #historyText(): string {
    if (this.#history !== undefined) return this.#history;
    const history: DashboardHistory = {
      title: this.#options.title,
      windowSeconds: (WINDOW_FRAMES * PERIOD_MS) / 1000,
      periodMs: PERIOD_MS,
      length: HISTORY_LENGTH,
      ...this.#sampler.ring.history(),
      last: this.#sampler.last ?? null,
      actions: this.#actions.views,
      actionToken: this.#options.ownActionToken,
    };
    this.#history = JSON.stringify(history);
    return this.#history;
  }

  #json(request: IncomingMessage, response: ServerResponse, body: string): void {
    answer(request, response, 200, { "content-type": "application/json; charset=utf-8" }, body);
  }

  #busy(request: IncomingMessage, response: ServerResponse): void {
    this.#count("busy");
    answerText(request, response, 503, "Too many clients\n", { "retry-after": "5" });
  }

  #refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    this.#count(refusal.reason);
    answerRefusal(request, response, refusal);
  }

  #count(reason: string): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }
}

function one(
  type: "counter" | "gauge",
  name: string,
  help: string,
  read: () => number,
): ScalarFamily {
  return { type, name, help, unit: "", labels: [], read: () => [{ value: read() }] };
}
