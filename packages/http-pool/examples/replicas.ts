// Three replicas, one of which goes away and comes back: no request fails.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { UpstreamGroup } from "@mcp-accel/http-pool";

async function listen(name: string, port = 0): Promise<Server> {
  const server = createServer((_request, response) => response.end(name));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const servers = await Promise.all(["a", "b", "c"].map((name) => listen(name)));
const origins = servers.map((server) => originOf(server));

// #region replicas
const group = new UpstreamGroup(origins, {
  balance: "round-robin",
  slowStartMs: 0,
  probe: { intervalMs: 100 },
});
const left: string[] = [];
group.on("eject", ({ upstream, reason }) => left.push(`${upstream} ${reason}`));

async function ask(count: number): Promise<Set<string>> {
  const names = new Set<string>();
  for (let sent = 0; sent < count; sent += 1)
    names.add(await (await group.fetch(group.origin)).text());
  return names;
}

const before = await ask(30);
// #endregion replicas
assert.deepEqual(before, new Set(["a", "b", "c"]));

const port = Number(new URL(origins[1] ?? "").port);
servers[1]?.close();
servers[1]?.closeAllConnections();
const during = await ask(30);
assert.deepEqual(during, new Set(["a", "c"]));
assert.deepEqual(left, [`${origins[1]} connect`]);
const { calls, retries } = group.stats();
assert.equal(calls, 60);
assert.ok(retries >= 5);

const readmitted = new Promise((resolve) => group.on("readmit", resolve));
servers[1] = await listen("b", port);
await readmitted;
const after = await ask(30);
assert.deepEqual(after, before);

await group.close();
for (const server of servers) server.close();
process.stdout.write("90 requests, one replica gone and back, none failed\n");
