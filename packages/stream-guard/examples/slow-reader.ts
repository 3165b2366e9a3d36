// A client that never reads costs the server its session's limit and no more.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { StreamGuard } from "@mcp-accel/stream-guard";

const guard = new StreamGuard({ maxMemoryBytes: 64 << 20, sessionMaxMemoryBytes: 1 << 20 });
guard.on("close", ({ session, reason, peakBytes }) => {
  console.log(`${session.id}: ${reason}, peak ${peakBytes} bytes`);
});

async function* report(): AsyncGenerator<string> {
  for (let line = 0; line < 1_000_000; line += 1) yield `${line} ${"x".repeat(1000)}\n`;
}

const server = createServer((request, response) => {
  const session = guard.open({ id: request.url ?? "" });
  session.writeTo(response, report(), { drainTimeoutMs: 200 }).catch((error: Error) => {
    console.log(`${session.id}: ${error.message}`);
  });
});
server.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));

const closed = new Promise<number>((resolve) => {
  guard.on("close", ({ peakBytes }) => resolve(peakBytes));
});
const { port } = server.address() as AddressInfo;
const client = connect(port, "127.0.0.1").pause();
client.on("error", () => {});
client.write("GET /report HTTP/1.1\r\nHost: example\r\n\r\n");

assert.ok((await closed) <= 1 << 20);
assert.equal(guard.stats().usedBytes, 0);
client.destroy();
server.close();
