// Twenty requests over two connections, and what the pool has counted.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionPool } from "@mcp-accel/http-pool";

const server = createServer((_request, response) => response.end("x".repeat(200_000))).listen(
  0,
  "127.0.0.1",
);
await once(server, "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// #region quick-start
const pool = new ConnectionPool(origin, { maxConnections: 2, queueTimeoutMs: 1000 });

async function item(id: number): Promise<string> {
  const response = await pool.fetch(`${origin}/items/${id}`);
  // A connection is free for the next request once the body was read.
  return response.text();
}

const texts = await Promise.all(Array.from({ length: 20 }, (_, id) => item(id)));

const { created, requests, reused, reuseRatio } = pool.stats();
await pool.close();
// #endregion quick-start

assert.deepEqual(new Set(texts.map((text) => text.length)), new Set([200_000]));
assert.deepEqual({ created, requests, reused }, { created: 2, requests: 20, reused: 18 });
process.stdout.write(`${requests} requests, ${created} connections, reuse ratio ${reuseRatio}\n`);
server.close();
