import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import { rejection, text, times } from "./helpers/outcome.ts";

async function upgradable(): Promise<{ origin: string; upgraded: Socket[]; stop: () => void }> {
  const server = createServer((_request, response) => response.end("ok"));
  const upgraded: Socket[] = [];
  server.on("upgrade", (_request, socket: Socket) => {
    upgraded.push(socket);
    socket.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = (): void => {
    for (const peer of upgraded) peer.destroy();
    server.close();
  };
  return { origin, upgraded, stop };
}

async function echo(socket: Duplex, words: string): Promise<string> {
  socket.write(words);
  const [echoed] = (await once(socket, "data")) as [Buffer];
  return echoed.toString();
}

test("an upgraded connection is a stream until it ends, and destroy ends it", async () => {
  const { origin, stop } = await upgradable();
  const pool = new ConnectionPool(origin, { maxConnections: 2 });
  const { socket } = await pool.upgrade({ path: "/", protocol: "echo" });
  expect(await echo(socket, "hello")).toBe("hello");
  expect(pool.stats()).toMatchObject({ streams: 1, active: 0, idle: 0, requests: 1, failed: 0 });
  const closed = times(pool, "close", 1);
  socket.destroy();
  await closed;
  expect(pool.stats()).toMatchObject({ open: 0, active: 0, streams: 0 });
  const second = await pool.upgrade({ path: "/", protocol: "echo" });
  const ended = once(second.socket, "close");
  await pool.destroy();
  await ended;
  expect(pool.stats()).toMatchObject({ open: 0, streams: 0 });
  stop();
});

test("upgrades take no slot of a request, and are bounded by maxStreams", async () => {
  const { origin, stop } = await upgradable();
  await using pool = new ConnectionPool(origin, { maxConnections: 1, maxStreams: 2 });
  for (let count = 0; count < 2; count += 1) await pool.upgrade({ path: "/", protocol: "echo" });
  expect(await text(pool.fetch(origin))).toBe("ok");
  const third = await rejection(pool.upgrade({ path: "/", protocol: "echo" }));
  expect(third.code).toBe("HTTP_POOL_EXHAUSTED");
  await pool.destroy();
  stop();
});

test.each(["stream", "request"] as const)(
  "close leaves an upgraded connection of the lane %s to its owner, as undici does",
  async (lane) => {
    const { origin, stop } = await upgradable();
    const pool = new ConnectionPool(origin);
    const upgrade = { path: "/", protocol: "echo", lane };
    const { socket } = await pool.upgrade(upgrade);
    await pool.drain();
    await pool.close();
    expect(pool.stats()).toMatchObject({ open: 0, active: 0, streams: 0 });
    expect(await echo(socket, "still here")).toBe("still here");
    socket.destroy();
    stop();
  },
);
