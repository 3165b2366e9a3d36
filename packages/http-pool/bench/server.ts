import { Child } from "./child.ts";

export interface ServerOptions {
  /** `light` speaks HTTP over TCP, `tls` over TLS; `node` is Node's own server with its defaults. */
  readonly kind: "light" | "tls" | "node";
  readonly port?: number;
}

export interface ServerCommand {
  readonly delayMs?: number;
  /** At most so much more, at random. */
  readonly jitterMs?: number;
  /** Answer with 503. */
  readonly failing?: boolean;
}

export interface ServerCounts {
  readonly connections: number;
  readonly requests: number;
  readonly open: number;
  readonly peakOpen: number;
  readonly cpuMs: number;
}

/** A server in a process of its own. */
export class BenchServer {
  readonly port: number;
  readonly origin: string;
  readonly #child: Child;

  static async start(options: ServerOptions): Promise<BenchServer> {
    const [child, port] = await Child.start<number>("server-process.ts", [JSON.stringify(options)]);
    return new BenchServer(child, port, options.kind === "tls" ? "https" : "http");
  }

  private constructor(child: Child, port: number, protocol: string) {
    this.#child = child;
    this.port = port;
    this.origin = `${protocol}://127.0.0.1:${port}`;
  }

  command(command: ServerCommand): Promise<ServerCounts> {
    return this.#child.ask(command);
  }

  counts(): Promise<ServerCounts> {
    return this.command({});
  }

  /** Accepts connections and requests, and says nothing. */
  stop(): void {
    this.#child.signal("SIGSTOP");
  }

  resume(): void {
    this.#child.signal("SIGCONT");
  }

  kill(): Promise<void> {
    return this.#child.kill();
  }
}
