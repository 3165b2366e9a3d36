import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import { times } from "./helpers/outcome.ts";

test("an upgraded connection holds its slot until it ends, and destroy ends it", async () => {
  const server = createServer();
  const upgraded: Socket[] = [];
  server.on("upgrade", (_request, socket: Socket) => {
    upgraded.push(socket);
    socket.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pool = new ConnectionPool(origin, { maxConnections: 2 });
  const { socket } = await pool.upgrade({ path: "/", protocol: "echo" });
  socket.write("hello");
  const [echoed] = (await once(socket, "data")) as [Buffer];
  expect(echoed.toString()).toBe("hello");
  expect(pool.stats()).toMatchObject({ open: 1, active: 1, idle: 0, requests: 1, failed: 0 });
  const closed = times(pool, "close", 1);
  socket.destroy();
  await closed;
  expect(pool.stats()).toMatchObject({ open: 0, active: 0 });
  const second = await pool.upgrade({ path: "/", protocol: "echo" });
  const ended = once(second.socket, "close");
  await pool.destroy();
  await ended;
  expect(pool.stats()).toMatchObject({ open: 0 });
  for (const peer of upgraded) peer.destroy();
  server.close();
});
