import { expect, test } from "vitest";
import { ConnectionPool, UpstreamGroup } from "../src/index.ts";
import { FakeTime, turn } from "./helpers/fake-time.ts";
import { text, times } from "./helpers/outcome.ts";
import { ok, RawServer } from "./helpers/raw-server.ts";

const DISCARD_MS = 1000;
const CHUNK = "1\r\nx\r\n";
/** An answer whose body goes on for as long as the server likes. */
const ENDLESS = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const BUSY = "HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n";

/** Goes on with every answer that has begun. */
async function dribble(server: RawServer, piece = CHUNK): Promise<void> {
  for (const socket of server.open) socket.write(piece);
  await turn();
  await turn();
}

test("a body that is cancelled and dribbles holds its slot for a second, whatever the limits", async () => {
  const { now, schedule, advance } = bound(new FakeTime());
  await using server = await new RawServer((socket, head) => {
    socket.write(head.includes("/tail") ? ENDLESS + CHUNK : ok());
  }).start();
  const options = { maxConnections: 1, bodyTimeoutMs: 0, now, schedule };
  const pool = new ConnectionPool(server.origin, options);
  const response = await pool.fetch(`${server.origin}/tail`);
  await response.body?.cancel();
  const next = text(pool.fetch(server.origin));
  advance(DISCARD_MS - 1);
  await dribble(server);
  expect(pool.stats()).toMatchObject({ active: 1, waiting: 1 });
  advance(1);
  expect(await next).toBe("ok");
  expect(pool.stats()).toMatchObject({ active: 0, aborted: 1, closed: { error: 1 } });
  await pool.close();
});

test("a body that is cancelled and ends in time leaves its connection, and no timer", async () => {
  const time = new FakeTime();
  const { now, schedule, advance } = bound(time);
  await using server = await new RawServer((socket, head) => {
    socket.write(head.includes("/tail") ? ENDLESS + CHUNK : ok());
  }).start();
  const pool = new ConnectionPool(server.origin, { maxConnections: 1, now, schedule });
  const response = await pool.fetch(`${server.origin}/tail`);
  const before = time.pending;
  await response.body?.cancel();
  await dribble(server, "0\r\n\r\n");
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  expect(time.pending).toBe(before);
  advance(DISCARD_MS);
  expect(pool.stats()).toMatchObject({ created: 1, aborted: 0, closed: { error: 0 } });
  await pool.close();
});

test("a redirect whose body does not end gives its connection up for the request that follows it", async () => {
  const time = new FakeTime();
  const { now, schedule } = time;
  await using server = await new RawServer((socket, head) => {
    const moved = "HTTP/1.1 302 Found\r\nlocation: /to\r\ncontent-length: 100\r\n\r\nmoved";
    socket.write(head.includes("/to") ? ok("here") : moved);
  }).start();
  await using pool = new ConnectionPool(server.origin, { maxConnections: 1, now, schedule });
  const waiting = text(pool.fetch(`${server.origin}/from`));
  while (server.heads.length === 0 || pool.stats().waiting === 0) await turn();
  time.advance(DISCARD_MS);
  expect(await waiting).toBe("here");
});

test("an answer that a group does not want holds no slot and no load for long", async () => {
  const { now, schedule, advance } = bound(new FakeTime());
  await using busy = await new RawServer((socket) => socket.write(BUSY + CHUNK)).start();
  await using good = await new RawServer((socket) => socket.write(ok())).start();
  await using group = new UpstreamGroup([busy.origin, good.origin], {
    balance: "round-robin",
    slowStartMs: 0,
    now,
    schedule,
  });
  for (let count = 0; count < 4; count += 1)
    expect(await text(group.fetch(group.origin))).toBe("ok");
  expect(group.stats().upstreams[busy.origin]).toMatchObject({ active: 4, pending: 4 });
  await dribble(busy);
  advance(DISCARD_MS);
  await busy.idle();
  expect(group.stats().upstreams[busy.origin]).toMatchObject({ active: 0, pending: 0 });
});

test("of an answer that a group does not want no more than 64 KiB are read", async () => {
  const { now, schedule } = new FakeTime();
  const piece = `4000\r\n${"x".repeat(0x4000)}\r\n`;
  await using busy = await new RawServer((socket) => socket.write(BUSY)).start();
  await using good = await new RawServer((socket) => socket.write(ok())).start();
  await using group = new UpstreamGroup([busy.origin, good.origin], {
    balance: "round-robin",
    slowStartMs: 0,
    now,
    schedule,
  });
  const [first, second] = [text(group.fetch(group.origin)), text(group.fetch(group.origin))];
  expect(await Promise.all([first, second])).toEqual(["ok", "ok"]);
  const closed = times(group, "close", 1);
  await dribble(busy, piece.repeat(3));
  expect(group.stats().upstreams[busy.origin]).toMatchObject({ active: 1 });
  await dribble(busy, piece.repeat(2));
  await closed;
  expect(group.stats().upstreams[busy.origin]).toMatchObject({ active: 0, pending: 0 });
});

function bound(time: FakeTime): Pick<FakeTime, "now" | "schedule" | "advance"> {
  return { now: time.now, schedule: time.schedule, advance: (ms) => time.advance(ms) };
}
