import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { RawServer, ok } from "./helpers/raw-server.ts";
import { TestServer } from "./helpers/test-server.ts";

const SOURCE = fileURLToPath(new URL("../src/index.ts", import.meta.url));

/** What a process prints that runs this code, in which `pools` are the exports and `origin` is a server's. */
async function run(origin: string, code: string): Promise<{ code: number | null; out: string }> {
  const script = `import * as pools from ${JSON.stringify(SOURCE)}; const origin = "${origin}"; ${code}`;
  const child = spawn(process.execPath, ["--no-warnings", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 25_000,
  });
  let out = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { code: status, out: out.trim() };
}

test("a process goes on while a request waits to be sent again, and ends after that", async () => {
  await using server = await new TestServer((_request, response) => {
    response.writeHead(503).end();
  }).start();
  const code = `
    const group = new pools.UpstreamGroup([origin], { retry: { baseDelayMs: 300 }, probe: false, random: () => 1 });
    console.log((await group.fetch(origin)).status);`;
  expect(await run(server.origin, code)).toEqual({ code: 0, out: "503" });
  expect(server.requests).toBeGreaterThan(1);
});

test("a process goes on while a request waits for a connection that nobody gives back", async () => {
  await using server = await new RawServer((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${"x".repeat(500_000)}`);
  }).start();
  const code = `
    const pool = new pools.ConnectionPool(origin, { maxConnections: 1, queueTimeoutMs: 500 });
    const unread = await pool.fetch(origin);
    console.log(await pool.fetch(origin).catch((error) => error.code), unread.status);
    process.exit();`;
  expect(await run(server.origin, code)).toEqual({ code: 0, out: "HTTP_POOL_QUEUE_TIMEOUT 200" });
});

test("a pool that is idle, with all its timers, does not keep the process", async () => {
  await using server = await new RawServer((socket) => socket.write(ok())).start();
  const code = `
    const options = { maxConnections: 1, minIdle: 1, keepAlivePath: "/", queueTimeoutMs: 60_000 };
    const pool = new pools.ConnectionPool(origin, options);
    const group = new pools.UpstreamGroup([origin], { probe: { path: "/" } });
    const all = [1, 2, 3].map(() => pool.fetch(origin).then((response) => response.text()));
    console.log(...(await Promise.all(all)), await (await group.fetch(origin)).text());`;
  expect(await run(server.origin, code)).toEqual({ code: 0, out: "ok ok ok ok" });
});

test("so it ends by itself in an outage too", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const code = `
    const group = new pools.UpstreamGroup([origin]);
    console.log(await group.fetch(origin).catch((error) => error.code));`;
  const expected = { code: 0, out: "HTTP_POOL_UPSTREAM_UNAVAILABLE" };
  expect(await run(`http://127.0.0.1:${port}`, code)).toEqual(expected);
});
