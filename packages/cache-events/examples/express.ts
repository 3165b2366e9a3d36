/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 hands rejections to its error handler. */
// A JSON service with a cached list: the first reader computes, others wait for it or hit, and a write is seen by the next read.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { EventCache } from "@mcp-accel/cache-events";
import express from "express";

const rows = [{ id: 1, title: "first" }];
let queries = 0;

// #region service
const cache = new EventCache({ ttlMs: 60_000, staleIfErrorMs: 300_000 });
const app = express().use(express.json());

app.get("/posts", async (_request, response) => {
  response.json(await cache.getOrSet("posts", queryPosts, { tags: ["posts"] }));
});

app.post("/posts", async (request, response) => {
  const post = await cache.write(["posts"], () => insertPost(request.body.title));
  response.status(201).json(post);
});
// #endregion service

async function queryPosts(): Promise<object[]> {
  queries++;
  return [...rows];
}

async function insertPost(title: string): Promise<object> {
  const post = { id: rows.length + 1, title };
  rows.push(post);
  return post;
}

const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/posts`;
const list = async (): Promise<unknown> => (await fetch(url)).json();

await Promise.all(Array.from({ length: 10 }, list));
assert.equal(queries, 1);
const headers = { "content-type": "application/json" };
await fetch(url, { method: "POST", headers, body: JSON.stringify({ title: "second" }) });
assert.deepEqual(await list(), [
  { id: 1, title: "first" },
  { id: 2, title: "second" },
]);

const { hits, coalesced } = cache.stats();
console.log(`12 requests, ${queries} queries, ${hits + coalesced} answered without one`);
server.close();
await cache.close();
