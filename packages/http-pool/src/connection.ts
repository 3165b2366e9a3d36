import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { LinkedNode } from "./linked-list.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Exchange } from "./exchange.ts";
import { Client, errors } from "./undici.ts";

/** Why a connection ended. */
export type CloseReason =
  /** Idle for too long, or more idle ones than `maxIdle`. */
  | "idle"
  /** Older than `maxLifetimeMs`. */
  | "lifetime"
  /** The pool was made smaller. */
  | "resize"
  /** The upstream ended it, or asked for it with `Connection: close`. */
  | "peer"
  /** Idle for longer than one that was found dead, or a request to keep it alive failed. */
  | "stale"
  /** Its request failed or was aborted. */
  | "error"
  /** It was opened beyond `maxConnections`, or lost its slot to another, and what it carried ended. */
  | "single"
  /** The pool was closed or destroyed. */
  | "shutdown";

/** The connection ended before anything of the request was written. */
export class NotWrittenError extends Error {}

export type Lane = "request" | "stream" | "reply" | "probe";

/** Undici closes a connection at the end of its keep-alive time with this message. */
const KEEP_ALIVE_END = "socket idle timeout";
/** The part of a server's keep-alive hint that is not used, since the server closes at its end. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/**
 * One socket for its whole life, and the undici `Client` that speaks HTTP over it. The socket is connected
 * before the Client exists, which never connects again: so sockets and requests are counted exactly.
 */
export class Connection {
  readonly lane: Lane;
  readonly upstream: string;
  readonly openedAt: number;
  readonly expiresAt: number;
  /** Its place among the idle ones. */
  readonly idleNode: LinkedNode<Connection> = new LinkedNode<Connection>(this);
  idleSince: number;
  /** How long it had been idle when it was used last. */
  idleMs = 0;
  /** It was idle at some time, so that its end may have been missed. */
  rested = false;
  /** When a request other than one that keeps it alive used it last. */
  unusedSince: number;
  /** What it carries, or carried last, is a request that keeps it alive. */
  keptAlive = false;
  /** The server's last `Keep-Alive` header. */
  keepAliveHint: string | string[] | undefined;
  /** Requests that were written to it. */
  requests = 0;
  exchange: Exchange | undefined;
  /** It speaks another protocol now, and belongs to the caller. */
  upgraded = false;
  #reason: CloseReason | undefined;
  #adopted = false;
  readonly #options: ResolvedPoolOptions;
  readonly #socket: Socket;
  readonly #h2: boolean;
  /** What an HTTP/2 server said before it was asked. */
  readonly #early: Buffer[] = [];
  readonly #client: Client;

  constructor(
    origin: URL,
    socket: Socket,
    lane: Lane,
    options: ResolvedPoolOptions,
    onClosed: (connection: Connection) => void,
  ) {
    this.lane = lane;
    this.upstream = origin.origin;
    this.openedAt = options.now();
    this.idleSince = this.openedAt;
    this.unusedSince = this.openedAt;
    this.expiresAt =
      this.openedAt + options.maxLifetimeMs * (1 - options.lifetimeJitter * options.random());
    this.#options = options;
    this.#socket = socket;
    this.#client = this.#createClient(origin, options);
    // After undici, which knows why it closed the socket.
    socket.once("close", () => queueMicrotask(() => onClosed(this)));
    this.#h2 = (socket as TLSSocket).alpnProtocol === "h2";
    socket.on("readable", this.#onEarly);
    // Undici listens too, but not before the first request.
    socket.on("error", () => undefined);
    socket.unref();
  }

  get closeReason(): CloseReason {
    return this.#reason ?? "peer";
  }

  /** Idle life until undici ends it: what the server said, or what is assumed. */
  get idleLimitMs(): number {
    if (this.#h2) return this.#options.maxIdleTimeMs;
    const seconds = /timeout=(\d+)/.exec(String(this.keepAliveHint))?.[1];
    if (seconds === undefined) return this.#options.keepAliveTimeoutMs;
    return Math.min(Number(seconds) * 1000 - KEEP_ALIVE_MARGIN_MS, this.#options.maxIdleTimeMs);
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#reason === undefined;
  }

  send(exchange: Exchange): void {
    this.exchange = exchange;
    this.keptAlive = exchange.lane === "probe";
    this.#client.dispatch(exchange.options, exchange);
  }

  close(reason: CloseReason): void {
    this.#reason ??= reason;
    if (this.upgraded) this.#socket.destroy();
    // Without an error undici takes the end for that of a body that ends with its connection, and tells a
    // request that it has aborted that all of it came.
    else this.#socket.destroy(new errors.SocketError("the pool closed the connection"));
  }

  #createClient(origin: URL, options: ResolvedPoolOptions): Client {
    const client = new Client(origin, {
      pipelining: 1,
      // One at a time with HTTP/2 too: when a server ends the session undici would send again all other
      // requests that are under way, those that must not be repeated included.
      allowH2: options.allowH2,
      headersTimeout: options.headersTimeoutMs,
      // The sweeper sees to it: undici cannot except event streams, nor bodies that nobody reads.
      bodyTimeout: 0,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      keepAliveMaxTimeout: options.maxIdleTimeMs,
      keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
      // Undici expects the answer after its call has returned.
      connect: (_address, callback) => queueMicrotask(() => this.#handOver(callback)),
    });
    client.on("disconnect", (_origin, _targets, error) => {
      if (error.message === KEEP_ALIVE_END) this.#reason ??= "idle";
    });
    return client;
  }

  #handOver(callback: (...args: [null, Socket] | [Error, null]) => void): void {
    if (this.#adopted || this.#socket.destroyed) {
      // An HTTP/2 session may be over although its socket is still open.
      this.close("peer");
      callback(new NotWrittenError("the connection ended before the request was written"), null);
      return;
    }
    this.#adopted = true;
    this.#socket.off("readable", this.#onEarly);
    if (this.#early.length > 0) this.#socket.unshift(Buffer.concat(this.#early.splice(0)));
    this.#socket.ref();
    callback(null, this.#socket);
  }

  /** Before the first request a server has nothing to say but its HTTP/2 settings, and that it closes. */
  readonly #onEarly = (): void => {
    const data = this.#socket.read() as Buffer | null;
    if (this.#h2 && data !== null) this.#early.push(data);
    else this.close("peer");
  };
}
