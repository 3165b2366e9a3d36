import { Agent, get } from "node:http";
import { ConnectionPool } from "@mcp-accel/http-pool";
import { Pool } from "undici";
import type { Dispatcher } from "undici";

export interface Rival {
  readonly name: string;
  request(): Promise<void>;
  close(): Promise<void>;
}

/** All of them keep at most so many connections, except the global fetch, which has no such setting. */
export function createRivals(origin: string, connections: number): readonly Rival[] {
  const pool = new ConnectionPool(origin, { maxConnections: connections });
  const fetching = new ConnectionPool(origin, { maxConnections: connections });
  const undici = new Pool(origin, { connections, allowH2: false });
  const unpooled = new Agent({ keepAlive: false, maxSockets: connections });
  return [
    { name: "pool.dispatch", request: () => dispatch(pool), close: () => pool.close() },
    { name: "undici Pool.dispatch", request: () => dispatch(undici), close: () => undici.close() },
    {
      name: "pool.fetch",
      request: async () => drop(await fetching.fetch(origin)),
      close: () => fetching.close(),
    },
    {
      name: "global fetch",
      request: async () => drop(await fetch(origin)),
      close: () => Promise.resolve(),
    },
    {
      name: "unpooled (connection: close)",
      request: () => getWith(unpooled, origin),
      close: () => Promise.resolve(unpooled.destroy()),
    },
  ];
}

async function drop(response: Response): Promise<void> {
  await response.text();
}

function dispatch(dispatcher: Dispatcher): Promise<void> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(
      { path: "/", method: "GET" },
      {
        onRequestStart: () => undefined,
        onResponseStart: () => undefined,
        onResponseData: () => undefined,
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

function getWith(agent: Agent, origin: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(origin, { agent }, (response) => {
      response.resume().on("end", resolve).on("error", reject);
    }).on("error", reject);
  });
}
