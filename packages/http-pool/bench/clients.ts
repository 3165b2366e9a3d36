import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { ConnectionPool } from "@mcp-accel/http-pool";
import { mcpFetch } from "@mcp-accel/http-pool/mcp";
import { HttpAgent as AgentKeepAlive } from "agentkeepalive";
import * as undici from "undici";
import type { Dispatcher } from "undici";
import { certificate } from "../test/helpers/certificate.ts";
import { REQUEST_BODY, REQUEST_HEADERS } from "./rpc.ts";

export interface Client {
  /** Sends one request and reads its response to the end. */
  send(done: (error?: unknown) => void): void;
  /** Requests on a used connection over all, where it counts them. */
  reuse?(): { requests: number; reused: number };
  close(): unknown;
}

export interface ClientOptions {
  readonly name: ClientName;
  readonly origin: string;
  readonly connections: number;
  /** Options of `ConnectionPool`. */
  readonly pool?: object;
}

type Create = (options: ClientOptions) => Client;

const TLS = { ca: certificate.cert, servername: "localhost" };

const creators = {
  "undici Pool.dispatch": (options) => dispatching(undiciPool(options)),
  "ConnectionPool.dispatch": (options) => {
    const pool = ourPool(options);
    return { ...dispatching(pool), reuse: () => pool.stats() };
  },
  "undici Agent.dispatch": ({ origin, connections }) =>
    dispatching(undiciAgent(connections), origin),
  "undici Pool.request": (options) => requesting(undiciPool(options), options.origin),
  "undici.request, Agent": ({ origin, connections }) => {
    const dispatcher = undiciAgent(connections);
    const options = { dispatcher, method: "POST", headers: REQUEST_HEADERS, body: REQUEST_BODY };
    const send = async (): Promise<unknown> => (await undici.request(origin, options)).body.json();
    return promising(send, () => dispatcher.close());
  },
  "undici.fetch, Agent": ({ origin, connections }) => {
    const dispatcher = undiciAgent(connections);
    const send = async (): Promise<unknown> =>
      (await undici.fetch(origin, { ...post(), headers: REQUEST_HEADERS, dispatcher })).json();
    return promising(send, () => dispatcher.close());
  },
  "global fetch": ({ origin }) =>
    promising(
      async () => (await fetch(origin, post())).json(),
      () => undefined,
    ),
  "pool.fetch": (options) => {
    const pool = ourPool(options);
    const send = async (): Promise<unknown> => (await pool.fetch(options.origin, post())).json();
    return { ...promising(send, () => pool.close()), reuse: () => pool.stats() };
  },
  mcpFetch: (options) => {
    const pool = ourPool(options);
    const fetchMcp = mcpFetch(pool);
    const send = async (): Promise<unknown> => (await fetchMcp(options.origin, post())).json();
    return { ...promising(send, () => pool.close()), reuse: () => pool.stats() };
  },
  "node:http, keepAlive": ({ origin, connections }) =>
    classic(new HttpAgent({ keepAlive: true, maxSockets: connections }), origin),
  agentkeepalive: ({ origin, connections }) =>
    classic(new AgentKeepAlive({ maxSockets: connections }), origin),
  "node:https, no pool": ({ origin }) =>
    classic(new HttpsAgent({ ...TLS, maxCachedSessions: 0 }), origin),
  "node:https, no pool, TLS resumed": ({ origin }) => classic(new HttpsAgent(TLS), origin),
  "node:https, keepAlive": ({ origin, connections }) =>
    classic(new HttpsAgent({ ...TLS, keepAlive: true, maxSockets: connections }), origin),
} as const satisfies Record<string, Create>;

export type ClientName = keyof typeof creators;

export function createClient(options: ClientOptions): Client {
  const create: Create = creators[options.name];
  return create(options);
}

function ourPool({ origin, connections, pool }: ClientOptions): ConnectionPool {
  return new ConnectionPool(origin, { maxConnections: connections, tls: TLS, ...pool });
}

function undiciPool({ origin, connections }: ClientOptions): undici.Pool {
  return new undici.Pool(origin, { connections, allowH2: false, connect: TLS });
}

function undiciAgent(connections: number): undici.Agent {
  return new undici.Agent({ connections, allowH2: false, connect: TLS });
}

/** The handler does nothing but end: what is measured is the dispatcher. */
class EndHandler implements Dispatcher.DispatchHandler {
  readonly #done: (error?: unknown) => void;

  constructor(done: (error?: unknown) => void) {
    this.#done = done;
  }

  onRequestStart(): void {}
  onResponseStart(): void {}
  onResponseData(): void {}

  onResponseEnd(): void {
    this.#done();
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#done(error);
  }
}

function dispatching(dispatcher: Dispatcher, origin?: string): Client {
  const options = {
    path: "/",
    method: "GET" as const,
    ...(origin !== undefined && { origin }),
  };
  return {
    send: (done) => {
      dispatcher.dispatch(options, new EndHandler(done));
    },
    close: () => dispatcher.close(),
  };
}

function requesting(dispatcher: Dispatcher, origin: string): Client {
  const options = { origin, path: "/", method: "POST" as const, headers: REQUEST_HEADERS };
  return promising(
    async () => (await dispatcher.request({ ...options, body: REQUEST_BODY })).body.json(),
    () => dispatcher.close(),
  );
}

function promising(send: () => Promise<unknown>, close: () => unknown): Client {
  return {
    send: (done) => {
      void finish(send, done);
    },
    close,
  };
}

async function finish(
  send: () => Promise<unknown>,
  done: (error?: unknown) => void,
): Promise<void> {
  try {
    await send();
  } catch (error) {
    done(error);
    return;
  }
  done();
}

/** A fresh one for each request, as the transports of the SDKs do. */
function post(): { method: string; headers: Headers; body: string } {
  return { method: "POST", headers: new Headers(REQUEST_HEADERS), body: REQUEST_BODY };
}

function classic(agent: HttpAgent, origin: string): Client {
  const request = origin.startsWith("https:") ? httpsRequest : httpRequest;
  const headers = { ...REQUEST_HEADERS, "content-length": Buffer.byteLength(REQUEST_BODY) };
  return {
    send: (done) => {
      request(origin, { agent, method: "POST", headers }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => {
          JSON.parse(text);
          done();
        });
        response.on("error", done);
      })
        .on("error", done)
        .end(REQUEST_BODY);
    },
    close: () => agent.destroy(),
  };
}
