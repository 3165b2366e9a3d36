import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A real server on the loopback that counts what really arrives. */
export class TestServer {
  /** Sockets accepted. */
  sockets = 0;
  requests = 0;
  /** Most sockets open at once. */
  peak = 0;
  readonly open: Set<Socket> = new Set<Socket>();
  handler: RequestListener;
  #server: Server | undefined;
  #port = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(handler: RequestListener = (_request, response) => response.end("ok")) {
    this.handler = handler;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts, or starts again on the same port. */
  async start(): Promise<this> {
    this.#server = createServer((request, response) => {
      this.requests += 1;
      this.handler(request, response);
    });
    this.#server.on("connection", (socket) => this.#accept(socket));
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Takes no new connections, and keeps those it has. */
  closePort(): void {
    this.#server?.close();
  }

  /** Closes the port and every socket. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = server.listening ? once(server, "close") : undefined;
    server.close();
    for (const socket of this.open) socket.resetAndDestroy();
    await closed;
  }

  /** Resolves once it has accepted `count` sockets in all. */
  async accepted(count: number): Promise<void> {
    while (this.sockets < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves once no socket is open. */
  async idle(): Promise<void> {
    const open = [...this.open].filter((socket) => !socket.destroyed);
    await Promise.all(
      open.map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()))),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #accept(socket: Socket): void {
    this.sockets += 1;
    this.open.add(socket);
    this.peak = Math.max(this.peak, this.open.size);
    socket.on("error", () => undefined);
    socket.on("close", () => this.open.delete(socket));
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Answers when it is told to. */
export class HeldAnswers {
  readonly held: (() => void)[] = [];
  #arrived: (() => void)[] = [];

  readonly handler: RequestListener = (request, response) => {
    request.resume();
    this.held.push(() => response.end("ok"));
    for (const resolve of this.#arrived.splice(0)) resolve();
  };

  /** Resolves once `count` requests are held. */
  async until(count: number): Promise<void> {
    while (this.held.length < count) {
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
    }
  }

  release(count: number = this.held.length): void {
    for (const answer of this.held.splice(0, count)) answer();
  }
}
