import { serveStdio as serve2026 } from "@modelcontextprotocol/server/stdio";
import type { Host } from "../host/host.ts";
import { createServer2025 } from "../v2025/server.ts";
import { createServer2026 } from "../v2026/server.ts";
import { LineTransport, type JsonRpcMessage, type LineTransportOptions } from "./line-transport.ts";

const PROTOCOL_VERSION_KEY = "io.modelcontextprotocol/protocolVersion";

/** How long requests under way may still take when the server is told to stop. */
const DRAIN_MS = 2_000;

export interface StdioServer {
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
  /** Takes no new request, answers those under way for a while, then closes. */
  stop(): Promise<void>;
}

/**
 * Serves one client on a pair of streams. The first message decides the protocol: one that claims a version in `_meta`
 * speaks 2026-07-28, any other one of the 2025 protocols. After `server/discover` alone the client may still fall back.
 */
export function serveStdio(host: Host, options: LineTransportOptions): StdioServer {
  const wire = host.guardTransport(new LineTransport(options), options.output);
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const connection = new Connection(host, wire);
  wire.onmessage = (message) => connection.deliver(message);
  wire.onerror = (error) => host.reportError(error, "stdio");
  wire.onclose = () => {
    connection.end();
    resolve();
  };
  wire.start().catch((error: unknown) => host.reportError(error, "stdio"));
  return {
    gone,
    stop: async () => {
      await wire.finish(DRAIN_MS, host.stopWriting);
      await gone;
    },
  };
}

class Connection {
  readonly #host: Host;
  readonly #wire: LineTransport;
  #legacy: Channel | undefined;
  #modern: Channel | undefined;
  #pinned = false;

  constructor(host: Host, wire: LineTransport) {
    this.#host = host;
    this.#wire = wire;
  }

  deliver(message: JsonRpcMessage): void {
    if (!this.#pinned) this.#choose(message);
    (this.#legacy ?? this.#modern)?.onmessage?.(message);
  }

  end(): void {
    this.#legacy?.onclose?.();
    this.#modern?.onclose?.();
  }

  #choose(message: JsonRpcMessage): void {
    if (!claimsVersion(message)) {
      this.#pinned = true;
      this.#modern = undefined;
      this.#legacy = this.#open();
      createServer2025(this.#host, "stdio")
        .connect(this.#legacy)
        .catch((error: unknown) => this.#host.reportError(error, "stdio"));
      return;
    }
    this.#pinned = message["method"] !== "server/discover";
    if (this.#modern !== undefined) return;
    this.#modern = this.#open();
    serve2026(() => createServer2026(this.#host, "stdio"), {
      transport: this.#modern,
      legacy: "reject",
      onerror: (error) => this.#host.reportError(error, "stdio 2026-07-28"),
    });
  }

  #open(): Channel {
    return new Channel(
      (message) => this.#wire.send(message),
      () => this.#wire.close(),
    );
  }
}

/** The transport that an SDK sees; the wire behind it is shared. */
class Channel {
  onmessage: ((message: JsonRpcMessage) => void) | undefined;
  onclose: (() => void) | undefined;
  onerror: ((error: Error) => void) | undefined;
  readonly send: (message: object) => Promise<void>;
  readonly close: () => Promise<void>;

  constructor(send: (message: object) => Promise<void>, close: () => Promise<void>) {
    this.send = send;
    this.close = close;
  }

  async start(): Promise<void> {}
}

function claimsVersion({ params }: JsonRpcMessage): boolean {
  const meta = (params as { _meta?: unknown } | undefined)?._meta;
  return typeof meta === "object" && meta !== null && PROTOCOL_VERSION_KEY in meta;
}
