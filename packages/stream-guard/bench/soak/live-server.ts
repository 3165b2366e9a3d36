import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { CHUNKS, CHUNK_BYTES, STALL_TIMEOUT_MS } from "./live-protocol.ts";
import { SOURCES } from "./streams.ts";

/** More than the system's buffers take from a reader that reads nothing. */
const ENDLESS_CHUNKS = 16_384;
const LOOK_MS = 50;

/** A guarded server: what is measured. */
export class LiveServer {
  readonly guard: StreamGuard = new StreamGuard({
    stallTimeoutMs: STALL_TIMEOUT_MS,
    sweepIntervalMs: STALL_TIMEOUT_MS / 4,
  });
  chunks = 0;
  readonly #server: Server;
  readonly #onSession: () => void;
  readonly #looking: NodeJS.Timeout;
  #requests = 0;
  #busiest = { sessions: 0, ledgerBytes: 0 };

  constructor(onSession: () => void) {
    this.#onSession = onSession;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    this.#server.closeAllConnections();
    this.#server.close();
    await this.guard.close();
  }

  /** The most that was open, and in use, since the last call. */
  takeBusiest(): { readonly sessions: number; readonly ledgerBytes: number } {
    const busiest = this.#busiest;
    this.#busiest = { sessions: 0, ledgerBytes: 0 };
    return busiest;
  }

  async connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = this.guard.open();
    this.#requests += 1;
    const count = request.url === "/stalls" ? ENDLESS_CHUNKS : CHUNKS;
    const make = (): Uint8Array => {
      this.chunks += 1;
      return new Uint8Array(CHUNK_BYTES);
    };
    const source = SOURCES[this.#requests % SOURCES.length]!(count, make);
    try {
      await this.#write(session, response, source);
    } catch {
      // Clients that go, or do not read, end here.
    }
    await session.close();
    this.#onSession();
  }

  /** In turn: `writeTo`, and both kinds of stream out of a session. */
  async #write(
    session: StreamingSession,
    response: ServerResponse,
    source: Parameters<StreamingSession["pipe"]>[0],
  ): Promise<void> {
    const way = this.#requests % 4;
    if (way === 0) await pipeline(session.readable(source), response);
    else if (way === 1) await pipeline(Readable.fromWeb(session.readableStream(source)), response);
    else await session.writeTo(response, source);
  }

  #look(): void {
    const { sessions, usedBytes } = this.guard.stats();
    this.#busiest = {
      sessions: Math.max(this.#busiest.sessions, sessions),
      ledgerBytes: Math.max(this.#busiest.ledgerBytes, usedBytes),
    };
  }
}
