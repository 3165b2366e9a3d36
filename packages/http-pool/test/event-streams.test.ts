import { expect, test } from "vitest";
import { isEventStream, saysNothing } from "../src/event-stream.ts";
import { BodyTimeoutError, ConnectionPool, PoolClosedError } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { brokenAfterFirst, rejection, text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

/** `/events` begins a stream of events, which `say` goes on with; everything else is answered at once. */
class EventServer extends TestServer {
  readonly #responses: { write(text: string): unknown; end(): unknown }[] = [];

  constructor() {
    super((request, response) => {
      request.resume();
      if (request.url !== "/events") return void response.end("ok");
      this.#responses.push(response);
      return void response.setHeader("content-type", "text/event-stream").write("data: 1\n\n");
    });
  }

  say(words: string): void {
    for (const response of this.#responses) response.write(words);
  }

  endAll(): void {
    for (const response of this.#responses.splice(0)) response.end();
  }
}

interface World {
  readonly time: FakeTime;
  readonly server: EventServer;
  readonly pool: ConnectionPool;
}

async function world(options: ConnectionPoolOptions): Promise<World & AsyncDisposable> {
  const time = new FakeTime();
  const server = new EventServer();
  await server.start();
  const pool = new ConnectionPool(server.origin, {
    now: time.now,
    schedule: time.schedule,
    ...options,
  });
  const end = async (): Promise<void> => {
    await pool.destroy();
    await server.stop();
  };
  return { time, server, pool, [Symbol.asyncDispose]: end };
}

function call({ pool, server }: World): Promise<Response> {
  return pool.fetch(`${server.origin}/events`, { method: "POST", body: "{}" });
}

test("answers that turn out to be streams leave their slots to those who wait", async () => {
  await using w = await world({ maxConnections: 2, queueTimeoutMs: 10_000 });
  const calls = [await call(w), await call(w)];
  expect(w.pool.stats()).toMatchObject({ active: 2, streams: 0 });
  const waiting = text(w.pool.fetch(w.server.origin));
  expect(w.pool.stats()).toMatchObject({ active: 2, waiting: 1 });
  w.time.advance(250);
  expect(await waiting).toBe("ok");
  expect(w.pool.stats()).toMatchObject({ streams: 1, queueTimeouts: 0 });
  // The next one finds room at once.
  w.time.advance(250);
  const both = [text(w.pool.fetch(w.server.origin)), text(w.pool.fetch(w.server.origin))];
  expect(await Promise.all(both)).toEqual(["ok", "ok"]);
  w.server.endAll();
  for (const response of calls) expect(await response.text()).toBe("data: 1\n\n");
});

test("a stream keeps its slot, and its connection is used again, when nobody waits", async () => {
  await using w = await world({ maxConnections: 2 });
  const response = await call(w);
  w.time.advance(5000);
  expect(w.pool.stats()).toMatchObject({ active: 1, streams: 0 });
  w.server.endAll();
  await response.text();
  expect(await text(w.pool.fetch(w.server.origin))).toBe("ok");
  expect(w.pool.stats()).toMatchObject({ created: 1, reused: 1 });
});

test("one whose body is cancelled is closed at once", async () => {
  await using w = await world({});
  const response = await call(w);
  await response.body?.cancel();
  // The clock stands still.
  await w.server.idle();
  expect(w.pool.stats()).toMatchObject({ active: 0, streams: 0 });
});

test("a connection that lost its slot comes back when there is one, and is closed when not", async () => {
  await using w = await world({ maxConnections: 1 });
  const first = await call(w);
  w.time.advance(250);
  const second = await call(w);
  expect(w.pool.stats()).toMatchObject({ active: 1, streams: 1 });
  const closed = times(w.pool, "close", 1);
  w.server.endAll();
  await Promise.all([first.text(), second.text()]);
  await closed;
  expect(w.pool.stats()).toMatchObject({ open: 1, idle: 1, streams: 0, closed: { single: 1 } });
});

test("a connection that lost its slot keeps the one that became free", async () => {
  await using w = await world({ maxConnections: 1 });
  const response = await call(w);
  w.time.advance(250);
  expect(await text(w.pool.fetch(w.server.origin))).toBe("ok");
  w.pool.resize(2);
  w.server.endAll();
  await response.text();
  await Promise.all([1, 2].map(() => text(w.pool.fetch(w.server.origin))));
  expect(w.pool.stats()).toMatchObject({ created: 2, idle: 2, streams: 0 });
});

test("no more streams leave their slots than maxStreams allows", async () => {
  await using w = await world({ maxConnections: 2, maxStreams: 1, queueTimeoutMs: 2000 });
  await Promise.all([call(w), call(w)]);
  w.time.advance(250);
  await call(w);
  const waiting = rejection(w.pool.fetch(w.server.origin));
  w.time.advance(2000);
  expect((await waiting).code).toBe("HTTP_POOL_QUEUE_TIMEOUT");
  expect(w.pool.stats()).toMatchObject({ active: 2, streams: 1 });
  expect(w.server.peak).toBe(3);
});

test("close and drain do not wait for a GET that is answered with events", async () => {
  await using w = await world({});
  const [ended] = await brokenAfterFirst(w.pool.fetch(`${w.server.origin}/events`));
  await w.pool.drain();
  await w.pool.close();
  expect(await ended).toBeInstanceOf(PoolClosedError);
  expect(w.time.pending).toBe(0);
});

test("close lets a call end that is answered with events", async () => {
  await using w = await world({});
  const response = await call(w);
  const closed = w.pool.close();
  w.server.say("data: 2\n\n");
  w.server.endAll();
  expect(await response.text()).toBe("data: 1\n\ndata: 2\n\n");
  await closed;
});

test("but not for longer than bodyTimeoutMs, however much it says", async () => {
  await using w = await world({ bodyTimeoutMs: 1000 });
  const response = await call(w);
  const reader = response.body?.getReader();
  await reader?.read();
  const ended = rejection(
    (async () => {
      for (;;) await reader?.read();
    })(),
  );
  const closed = w.pool.close();
  for (let rounds = 0; rounds < 5; rounds += 1) {
    w.server.say("data: 2\n\n");
    w.time.advance(250);
  }
  expect(await ended).toBeInstanceOf(PoolClosedError);
  await closed;
});

test("silence in a stream is bounded by eventTimeoutMs, and a comment is silence", async () => {
  await using w = await world({ bodyTimeoutMs: 1000 });
  const url = `${w.server.origin}/events`;
  const response = await w.pool.fetch(url, { eventTimeoutMs: 1000 });
  const reader = response.body?.getReader();
  await reader?.read();
  w.time.advance(900);
  w.server.say("data: 2\n\n");
  await reader?.read();
  w.time.advance(900);
  w.server.say(": alive\n\n");
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(": alive\n\n");
  const next = rejection(reader?.read() ?? Promise.resolve());
  w.time.advance(500);
  expect(await next).toBeInstanceOf(BodyTimeoutError);
});

test("replies have connections of their own while all others are in use, and are bounded", async () => {
  const time = new FakeTime();
  const arrived = Promise.withResolvers<void>();
  await using server = await new TestServer(() => arrived.resolve()).start();
  await using pool = new ConnectionPool(server.origin, {
    maxConnections: 1,
    maxReplies: 2,
    queueLimit: 1,
    queueTimeoutMs: 1000,
    now: time.now,
    schedule: time.schedule,
  });
  const send = (lane?: "reply"): Promise<string | undefined> =>
    rejection(pool.fetch(server.origin, { method: "POST", body: "{}", lane })).then(
      ({ code }) => code,
    );
  const all = [send()];
  await arrived.promise;
  all.push(send("reply"), send("reply"), send("reply"));
  await server.accepted(3);
  expect(pool.stats()).toMatchObject({ active: 1, streams: 2, waiting: 1 });
  expect(await send("reply")).toBe("HTTP_POOL_EXHAUSTED");
  time.advance(1000);
  expect(await all[3]).toBe("HTTP_POOL_QUEUE_TIMEOUT");
  await pool.destroy();
  expect(await Promise.all(all.slice(0, 3))).toEqual(Array(3).fill("HTTP_POOL_CLOSED"));
});

test("replies that wait go before requests, and use the connections of other replies", async () => {
  const order: string[] = [];
  await using server = await new TestServer((request, response) => {
    order.push(request.url ?? "");
    setImmediate(() => response.end("ok"));
  }).start();
  await using pool = new ConnectionPool(server.origin, { maxConnections: 1, maxReplies: 1 });
  const fetch = (path: string, lane?: "reply"): Promise<string> =>
    text(pool.fetch(`${server.origin}/${path}`, { lane }));
  await Promise.all([
    fetch("1"),
    fetch("2"),
    fetch("3"),
    ...Array.from({ length: 6 }, () => fetch("reply", "reply")),
  ]);
  expect(order.at(-1)).toBe("/3");
  expect(pool.stats().created).toBeLessThanOrEqual(3);
});

function isSilence(chunk: string): boolean {
  return saysNothing(Buffer.from(chunk));
}

test("what only keeps a stream alive says nothing", () => {
  expect([":\n\n", ": ping\r\n\r\n", "\n", ":a\n:b\n\n"].map(isSilence)).toEqual(
    Array(4).fill(true),
  );
  expect(["data: 1\n\n", ": a\ndata: 1\n\n", "", ": begi"].map(isSilence)).toEqual(
    Array(4).fill(false),
  );
});

test("the case of a media type does not matter, and no other one is an event stream", () => {
  const types = ["text/event-stream", "Text/Event-Stream; charset=utf-8", "TEXT/EVENT-STREAM"];
  for (const type of types) expect(isEventStream({ "content-type": type })).toBe(true);
  for (const type of ["", "4ext/event-stream", "application/json", "text/plain"])
    expect(isEventStream({ "content-type": type })).toBe(false);
  expect(isEventStream({})).toBe(false);
});
