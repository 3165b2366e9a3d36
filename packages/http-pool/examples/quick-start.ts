// Twenty requests over two connections, and what the pool has counted.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionPool } from "@mcp-accel/http-pool";

const server = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// #region quick-start
const pool = new ConnectionPool(origin, { maxConnections: 2, queueTimeoutMs: 1000 });

const responses = await Promise.all(
  Array.from({ length: 20 }, (_, id) => pool.fetch(`${origin}/items/${id}`)),
);
const texts = await Promise.all(responses.map((response) => response.text()));

const { created, requests, reused, reuseRatio } = pool.stats();
await pool.close();
// #endregion quick-start

assert.ok(responses.every((response) => response instanceof globalThis.Response));
assert.deepEqual(new Set(texts), new Set(["hello"]));
assert.deepEqual({ created, requests, reused }, { created: 2, requests: 20, reused: 18 });
process.stdout.write(`${requests} requests, ${created} connections, reuse ratio ${reuseRatio}\n`);
server.close();
