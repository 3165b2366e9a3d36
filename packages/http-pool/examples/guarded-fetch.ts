// A fetch for URLs that somebody else chose: it reaches the public Internet and nothing else.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AddressNotAllowedError, PoolAgent, publicAddressesOnly } from "@mcp-accel/http-pool";

const internal = createServer((_request, response) => response.end("internal"));
internal.listen(0, "127.0.0.1");
await once(internal, "listening");
const { port } = internal.address() as AddressInfo;

// #region guarded-fetch
const agent = new PoolAgent({ maxOrigins: 20, allowAddress: publicAddressesOnly });

for (const url of [
  `http://127.0.0.1:${port}/`,
  `http://localhost:${port}/`,
  `http://[::1]:${port}/`,
]) {
  await assert.rejects(agent.fetch(url), AddressNotAllowedError);
}
await agent.close();
// #endregion guarded-fetch

process.stdout.write("loopback addresses are refused, by number and by name\n");
internal.close();
