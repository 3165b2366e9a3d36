import type { ServerResponse } from "node:http";

/** The clients of the live stream. One that does not read is dropped before its frames pile up. */
export class StreamClients {
  readonly #max: number;
  readonly #maxBufferedBytes: number;
  readonly #clients = new Set<ServerResponse>();
  #dropped = 0;

  constructor(max: number, maxBufferedBytes: number) {
    this.#max = max;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Clients that were too slow, so far. */
  get dropped(): number {
    return this.#dropped;
  }

  get isFull(): boolean {
    return this.#clients.size >= this.#max;
  }

  /** Answers with a stream that begins with `first`. */
  add(response: ServerResponse, first: string): void {
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-content-type-options": "nosniff",
      "x-accel-buffering": "no",
    });
    this.#clients.add(response);
    response.once("close", () => this.#clients.delete(response));
    response.write(`retry: 1000\n\n${first}`);
  }

  /** One event for everybody; `undefined` only says that the server is alive. */
  send(event: string | undefined): void {
    const text = event ?? ": no news\n\n";
    for (const client of this.#clients) {
      if (client.writableLength + text.length > this.#maxBufferedBytes) {
        this.#dropped += 1;
        this.#clients.delete(client);
        client.destroy();
      } else {
        client.write(text);
      }
    }
  }

  close(): void {
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }
}
