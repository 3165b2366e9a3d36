import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** A TCP proxy that puts an upstream further away, or cuts the line without telling either end. */
export class TcpProxy {
  /** Added in each direction. */
  delayMs = 0;
  #cut = false;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #targetPort: number;

  constructor(target: string, delayMs = 0) {
    this.#targetPort = Number(new URL(target).port);
    this.delayMs = delayMs;
    this.#server = createServer((socket) => this.#join(socket));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** From now on connections stay open and carry nothing: half-open, as after a router lost them. */
  cut(): void {
    this.#cut = true;
  }

  /** New connections work again; those that were cut stay dead. */
  mend(): void {
    this.#cut = false;
  }

  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.resetAll();
    await closed;
  }

  #join(near: Socket): void {
    const far = connect(this.#targetPort, "127.0.0.1");
    const line = { dead: false };
    this.#pass(near, far, line);
    this.#pass(far, near, line);
  }

  #pass(from: Socket, to: Socket, line: { dead: boolean }): void {
    this.#sockets.add(from);
    const later = (action: () => void): void => {
      line.dead ||= this.#cut;
      if (line.dead) return;
      if (this.delayMs === 0) action();
      else setTimeout(() => line.dead || action(), this.delayMs);
    };
    from.on("data", (chunk) => later(() => void to.write(chunk)));
    from.on("end", () => later(() => void to.end()));
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      later(() => void to.destroy());
    });
  }
}
