// A client that never reads costs the server its session's limit and no more.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { AdmissionError, StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";

const guard = new StreamGuard({ maxMemoryBytes: 64 << 20, sessionMaxMemoryBytes: 1 << 20 });
guard.on("close", ({ session, reason, peakBytes }) => {
  console.log(`${session.id}: ${reason}, peak ${peakBytes} bytes`);
});

async function* report(): AsyncGenerator<string> {
  for (let line = 0; line < 20_000; line += 1) yield `${line} ${"x".repeat(1000)}\n`;
}

const server = createServer((request, response) => void answer(request.url ?? "", response));

async function answer(url: string, response: ServerResponse): Promise<void> {
  let session: StreamingSession | undefined;
  try {
    session = guard.open();
    await session.writeTo(response, report(), { drainTimeoutMs: 200 });
  } catch (error) {
    console.log(`${url}: ${(error as Error).message}`);
    if (error instanceof AdmissionError) {
      const seconds = Math.ceil(error.retryAfterMs / 1000);
      response.writeHead(503, { "retry-after": String(seconds) }).end();
    }
  } finally {
    await session?.close();
  }
}

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

// Who reads gets everything, as often as it asks, and leaves no session behind.
for (let times = 0; times < 2; times += 1) {
  const response = await fetch(`http://127.0.0.1:${port}/report`);
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.byteLength;
  assert.ok(bytes > 1_000_000);
}
assert.equal(guard.stats().sessions, 0);
server.close();
