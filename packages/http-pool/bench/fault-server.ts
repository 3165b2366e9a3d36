import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** What the server does with a request; the request asks for it by its path. */
export const FAULTS = {
  ok: (_request, response) => response.end("ok"),
  slow: (_request, response, ms) => void setTimeout(() => response.end("ok"), ms),
  long: (_request, response) => response.end(Buffer.alloc(300_000)),
  close: (_request, response) => response.setHeader("connection", "close").end("ok"),
  error: (_request, response) => response.writeHead(503).end("busy"),
  half: (request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => request.socket.destroy());
  },
  reset: (request) => request.socket.resetAndDestroy(),
  garbage: (request) => request.socket.end("220 this is not HTTP\r\n\r\n"),
  flood: (request) => request.socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}\r\n\r\n`),
  hang: () => undefined,
  stall: (_request, response) => void response.writeHead(200).write("begin"),
  events: (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
  },
} satisfies Record<
  string,
  (request: IncomingMessage, response: ServerResponse, ms: number) => unknown
>;

export type Fault = keyof typeof FAULTS;

/** A server that does whatever it is asked to do wrong, and counts what arrives. */
export class FaultServer {
  readonly #sockets = new Set<Socket>();
  readonly #lastRequests = new WeakMap<Socket, string>();
  readonly #executions = new Map<string, number>();
  #server: Server | undefined;
  #port = 0;

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Ids of requests that arrived more than `times` times. */
  executedMoreThan(times: number): string[] {
    return [...this.#executions].filter(([, count]) => count > times).map(([id]) => id);
  }

  /** Starts, or starts again on the same port. */
  async start(): Promise<this> {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Cuts every connection, as a network does. */
  cut(): void {
    for (const socket of this.#sockets) {
      // The system refuses a reset while an end is being sent, and Node then never emits "close".
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  /** Resolves once all connections that are open now are closed. */
  async emptied(): Promise<void> {
    const open = [...this.#sockets];
    await Promise.all(
      open.map((socket) => new Promise((resolve) => socket.once("close", resolve))),
    );
  }

  /** The last request of each connection that is open, and its state. */
  lastRequests(): string[] {
    return [...this.#sockets].map((socket) => describe(socket, this.#lastRequests.get(socket)));
  }

  async stop(): Promise<void> {
    const closed = this.#server === undefined ? undefined : once(this.#server, "close");
    this.#server?.close();
    this.cut();
    await closed;
    this.#server = undefined;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.on("error", () => undefined).resume();
    response.on("error", () => undefined);
    this.#lastRequests.set(request.socket, `${request.method} ${request.url}`);
    const id = request.headers["x-id"];
    if (typeof id === "string") this.#executions.set(id, (this.#executions.get(id) ?? 0) + 1);
    const { pathname, searchParams } = new URL(request.url ?? "/", this.origin);
    const fault = FAULTS[pathname.slice(1) as Fault] ?? FAULTS.ok;
    fault(request, response, Number(searchParams.get("ms")));
  }
}

function describe(socket: Socket, request = "no request"): string {
  const { readyState, destroyed, readableEnded, writableFinished } = socket;
  const state = { readyState, destroyed, readableEnded, writableFinished };
  return `${request} ${JSON.stringify(state)}`;
}
