// A TCP link that can fail the way links do.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/**
 * `pass`: as it should be. `cut`: every connection is reset and new ones are refused. `half-open`: connections stay and new ones are
 * accepted, but nothing passes any more in either direction, and is lost. `held`: what clients send arrives, the answers wait and come in
 * one piece when it passes again.
 */
export type LinkState = "pass" | "cut" | "half-open" | "held";

interface Pipe {
  readonly near: Socket;
  readonly far: Socket;
  state: LinkState;
  held: Buffer[];
}

export class FaultProxy {
  /** Milliseconds by which every chunk is late, in each direction. */
  delayMs = 0;
  /** The state of new connections; that of the present ones when left out. */
  onConnection: LinkState | undefined;
  /** Sees what clients send. */
  onRequest: ((chunk: Buffer) => void) | undefined;
  readonly #upstreamPort: number;
  readonly #server: Server;
  readonly #pipes = new Set<Pipe>();
  #state: LinkState = "pass";

  static async start(upstreamPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstreamPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
    this.#server = createServer((near) => this.#accept(near));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pipes.size;
  }

  /** Whether a `held` connection keeps back an answer with this text. */
  holds(text: string): boolean {
    return [...this.#pipes].some(({ held }) => Buffer.concat(held).includes(text));
  }

  /** For the connections there are and for new ones. One that was half open never recovers: what it lost is missing in its stream. */
  set(state: LinkState): void {
    this.#state = state;
    for (const pipe of this.#pipes) {
      if (state === "cut") close(pipe);
      else if (pipe.state !== "half-open") pipe.state = state;
      if (pipe.state === "pass") release(pipe);
    }
  }

  async stop(): Promise<void> {
    for (const pipe of this.#pipes) close(pipe);
    this.#server.close();
    await once(this.#server, "close");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #accept(near: Socket): void {
    const state = this.onConnection ?? this.#state;
    if (state === "cut") return void near.resetAndDestroy();
    const far = connect(this.#upstreamPort, "127.0.0.1");
    const pipe: Pipe = { near, far, state, held: [] };
    this.#pipes.add(pipe);
    near.on("data", (chunk: Buffer) => {
      if (pipe.state === "half-open") return;
      this.onRequest?.(chunk);
      this.#send(pipe, far, chunk);
    });
    far.on("data", (chunk: Buffer) => {
      if (pipe.state === "held") pipe.held.push(chunk);
      else if (pipe.state === "pass") this.#send(pipe, near, chunk);
    });
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      end.setNoDelay(true);
      end.on("error", () => {});
      end.on("close", () => {
        this.#pipes.delete(pipe);
        // Over a dead link the client does not hear of it.
        if (pipe.state !== "half-open" || end === near) other.destroy();
      });
    }
  }

  #send(pipe: Pipe, to: Socket, chunk: Buffer): void {
    if (this.delayMs === 0) return void to.write(chunk);
    setTimeout(() => {
      if (pipe.state !== "half-open" && to.writable) to.write(chunk);
    }, this.delayMs);
  }
}

function release(pipe: Pipe): void {
  const held = pipe.held.splice(0);
  if (held.length > 0) pipe.near.write(Buffer.concat(held));
}

function close({ near, far }: Pipe): void {
  near.resetAndDestroy();
  far.resetAndDestroy();
}
