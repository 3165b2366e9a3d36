import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export type RawAnswer = (socket: Socket, head: string) => unknown;

/** A server on the loopback that answers each head of a request with whatever bytes it likes. */
export class RawServer {
  /** Sockets accepted. */
  sockets = 0;
  /** The heads that came, bodies with a length left out. */
  readonly heads: string[] = [];
  readonly open: Set<Socket> = new Set<Socket>();
  answer: RawAnswer;
  #server: Server | undefined;
  #port = 0;

  constructor(answer: RawAnswer) {
    this.answer = answer;
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts, or starts again on the same port. */
  async start(): Promise<this> {
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.open) socket.resetAndDestroy();
    await closed;
  }

  /** Resolves once no socket is open. */
  async idle(): Promise<void> {
    const open = [...this.open].filter((socket) => !socket.destroyed);
    await Promise.all(open.map((socket) => once(socket, "close")));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #accept(socket: Socket): void {
    this.sockets += 1;
    this.open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.open.delete(socket));
    let rest = "";
    socket.on("data", (data) => {
      rest = this.#read(socket, rest + data.toString("latin1"));
    });
  }

  #read(socket: Socket, data: string): string {
    const end = data.indexOf("\r\n\r\n");
    const head = data.slice(0, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (end < 0 || data.length < end + 4 + length) return data;
    this.heads.push(head);
    this.answer(socket, head);
    return this.#read(socket, data.slice(end + 4 + length));
  }
}

/** The bytes of an answer 200. */
export function ok(body = "ok", headers = ""): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;
}
