import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { settle } from "./fake-time.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

/** A real HTTP server on a free port, with clients that read and clients that do not. */
export class Site implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #lastResponse: ServerResponse | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(handler: Handler): Promise<Site> {
    const server = createServer();
    const site = new Site(server);
    server.on("request", (request, response) => {
      site.#lastResponse = response;
      void handler(request, response);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return site;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  /** The response of the request that came last. */
  get lastResponse(): ServerResponse | undefined {
    return this.#lastResponse;
  }

  post(message: object, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url, {
      method: "POST",
      headers: { ...HEADERS, ...headers },
      body: JSON.stringify(message),
    });
  }

  /** Sends a request and reads nothing of what comes back. */
  async sendAndNeverRead(
    method: string,
    headers: Record<string, string>,
    body = "",
  ): Promise<Socket> {
    const { port } = new URL(this.url);
    const socket = connect(Number(port), "127.0.0.1");
    this.#sockets.push(socket);
    socket.on("error", () => {});
    socket.pause();
    const all = {
      ...HEADERS,
      ...headers,
      host: "test",
      "content-length": String(Buffer.byteLength(body)),
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${method} /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

export const INITIALIZE: object = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  },
};

/** Lets the event loop turn until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle();
}
