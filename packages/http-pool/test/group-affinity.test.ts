import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { CircuitOpenError, UpstreamGroup } from "../src/index.ts";
import type { PoolFetchInit, UpstreamGroupOptions } from "../src/index.ts";
import { driven, FakeTime } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

const HEADER = "mcp-session-id";

interface Sessions {
  readonly server: TestServer;
  readonly known: Set<string>;
}

/** Begins sessions, answers those it began with its origin, and the rest with 404. */
async function sessionServer(name: string): Promise<Sessions> {
  const known = new Set<string>();
  const server = new TestServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    const id = request.headers[HEADER] as string | undefined;
    if (id === undefined) {
      const begun = `${name}-${known.size}`;
      known.add(begun);
      response.setHeader(HEADER, begun).end(server.origin);
    } else if (!known.has(id)) response.writeHead(404).end("unknown");
    else {
      if (request.method === "DELETE") known.delete(id);
      response.end(server.origin);
    }
  });
  await server.start();
  return { server, known };
}

async function start(
  count: number,
  options: UpstreamGroupOptions = {},
): Promise<{ all: Sessions[]; group: UpstreamGroup; time: FakeTime }> {
  const names = ["a", "b", "c", "d"].slice(0, count);
  const all = await Promise.all(names.map((name) => sessionServer(name)));
  const time = new FakeTime();
  const group = new UpstreamGroup(
    all.map(({ server }) => server.origin),
    { balance: "round-robin", now: time.now, schedule: time.schedule, ...options },
  );
  return { all, group, time };
}

function inSession(id: string | undefined, init: PoolFetchInit = {}): PoolFetchInit {
  return {
    ...init,
    affinityHeader: HEADER,
    ...(id !== undefined && { headers: { [HEADER]: id } }),
  };
}

async function begin(group: UpstreamGroup): Promise<{ id: string; at: string }> {
  const response = await group.fetch(group.origin, inSession(undefined, { method: "POST" }));
  return { id: response.headers.get(HEADER) ?? "", at: await response.text() };
}

async function end(group: UpstreamGroup, all: readonly Sessions[]): Promise<void> {
  await group.close();
  await Promise.all(all.map(({ server }) => server.stop()));
}

describe("sessions", () => {
  test("keep to the upstream that began them, whatever the balancer says", async () => {
    const { all, group } = await start(3);
    const sessions = [];
    for (let count = 0; count < 6; count += 1) sessions.push(await begin(group));
    expect(new Set(sessions.map(({ at }) => at)).size).toBe(3);
    for (let round = 0; round < 5; round += 1)
      for (const { id, at } of sessions)
        expect(await text(group.fetch(group.origin, inSession(id)))).toBe(at);
    expect(group.stats()).toMatchObject({ sessions: 6 });
    await end(group, all);
  });

  test("are known by a header whose name is written in any way", async () => {
    const { all, group } = await start(3);
    const init = { affinityHeader: "MCP-Session-ID" };
    const response = await group.fetch(group.origin, { ...init, method: "POST" });
    const headers = { "mcp-Session-id": response.headers.get(HEADER) ?? "" };
    const at = await response.text();
    for (let round = 0; round < 6; round += 1)
      expect(await text(group.fetch(group.origin, { ...init, headers }))).toBe(at);
    expect(group.stats()).toMatchObject({ sessions: 1 });
    await end(group, all);
  });

  test("whose upstream is removed while a request waits to be sent again are told so", async () => {
    const { all, group, time } = await start(2, { probe: false });
    const { id, at } = await begin(group);
    const server = all.find((one) => one.server.origin === at)?.server;
    if (server === undefined) throw new Error("no such server");
    server.handler = (_request, response) => response.writeHead(503).end();
    const lost = rejection(group.fetch(group.origin, inSession(id)));
    while (server.requests < 2 || group.stats().active > 0)
      await new Promise((resolve) => setImmediate(resolve));
    await group.remove(at);
    time.advance(1000);
    expect(await lost).toMatchObject({ code: "HTTP_POOL_UPSTREAM_UNAVAILABLE" });
    expect(server.requests).toBe(2);
    await end(group, all);
  });

  test("are never moved to another upstream by a retry", async () => {
    const { all, group, time } = await start(3);
    const { id, at } = await begin(group);
    const holder = all.find(({ server }) => server.origin === at) as Sessions;
    const others = all.filter((one) => one !== holder);
    await holder.server.stop();
    const before = others.map(({ server }) => server.requests);
    const failed = rejection(group.fetch(group.origin, inSession(id)));
    expect(await driven(time, failed)).toMatchObject({
      code: "HTTP_POOL_UPSTREAM_UNAVAILABLE",
      upstreams: [at],
      attempts: 3,
    });
    expect(others.map(({ server }) => server.requests)).toEqual(before);
    // Once the circuit of its upstream is open, it is told so at once.
    while (group.stats().upstreams[at]?.state !== "open" && group.stats().circuitOpens === 0) {
      const next = rejection(group.fetch(group.origin, inSession(id, { method: "POST" })));
      await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 5))]);
      time.advance(50);
    }
    expect(await rejection(group.fetch(group.origin, inSession(id)))).toBeInstanceOf(
      CircuitOpenError,
    );
    await end(group, all);
  });

  test("are not sent to another upstream when theirs is silent", async () => {
    const { all, group, time } = await start(2);
    const { id, at } = await begin(group);
    const { server } = all.find((one) => one.server.origin === at) as Sessions;
    const held = new HeldAnswers();
    server.handler = held.handler;
    const answer = text(group.fetch(group.origin, inSession(id)));
    await held.until(1);
    time.advance(5000);
    expect(group.stats()).toMatchObject({ ejections: 1, retries: 0 });
    held.release();
    expect(await answer).toBe("ok");
    await end(group, all);
  });

  test("are not sent to another upstream either when theirs is not known", async () => {
    const { all, group, time } = await start(2);
    const held = new HeldAnswers();
    for (const { server } of all) server.handler = held.handler;
    const answer = text(group.fetch(group.origin, inSession("from before")));
    await held.until(1);
    time.advance(5000);
    expect(group.stats()).toMatchObject({ ejections: 1, retries: 0 });
    held.release();
    expect(await answer).toBe("ok");
    expect(all.reduce((sum, { server }) => sum + server.requests, 0)).toBe(1);
    await end(group, all);
  });

  test("of an upstream that is gone for long are told that they are not known", async () => {
    const { all, group, time } = await start(2, { sessionGraceMs: 3000, probe: false });
    const { id, at } = await begin(group);
    const holder = all.find(({ server }) => server.origin === at) as Sessions;
    await holder.server.stop();
    for (let count = 0; count < 12; count += 1) await text(group.fetch(group.origin));
    expect(group.stats().upstreams[at]?.state).toBe("ejected");
    time.advance(3000);
    const post = inSession(id, { method: "POST" });
    const failed = driven(time, rejection(group.fetch(group.origin, post)));
    expect(await failed).toMatchObject({ code: "HTTP_POOL_UPSTREAM_UNAVAILABLE" });
    time.advance(1);
    expect((await group.fetch(group.origin, inSession(id))).status).toBe(404);
    expect(group.stats().sessions).toBe(0);
    await end(group, all);
  });

  test("of an upstream that is removed are told that they are not known", async () => {
    const { all, group } = await start(2);
    const { id, at } = await begin(group);
    await group.remove(at);
    expect((await group.fetch(group.origin, inSession(id))).status).toBe(404);
    expect(group.stats().sessions).toBe(0);
    await end(group, all);
  });

  test("that this process does not know go to one upstream, and are learnt from its answer", async () => {
    const { all, group } = await start(3);
    for (const { known } of all) known.add("from before");
    const answers = new Set<string>();
    for (let count = 0; count < 6; count += 1)
      answers.add(await text(group.fetch(group.origin, inSession("from before"))));
    expect(answers.size).toBe(1);
    expect(group.stats().sessions).toBe(1);
    await end(group, all);
  });

  test("that end are forgotten", async () => {
    const { all, group } = await start(2);
    const { id } = await begin(group);
    await text(group.fetch(group.origin, inSession(id, { method: "DELETE" })));
    expect(group.stats().sessions).toBe(0);
    expect((await group.fetch(group.origin, inSession(id))).status).toBe(404);
    expect(group.stats().sessions).toBe(0);
    await end(group, all);
  });

  test("are bounded: the one unused longest is forgotten", async () => {
    const { all, group } = await start(2, { maxSessions: 3 });
    for (let count = 0; count < 5; count += 1) await begin(group);
    expect(group.stats().sessions).toBe(3);
    await end(group, all);
  });

  test("a draining upstream keeps its sessions and begins no new ones", async () => {
    const { all, group, time } = await start(2);
    const { id, at } = await begin(group);
    await group.drain(at);
    for (let count = 0; count < 4; count += 1) expect((await begin(group)).at).not.toBe(at);
    expect(await text(group.fetch(group.origin, inSession(id)))).toBe(at);
    // However long it takes.
    time.advance(31_000);
    expect(await text(group.fetch(group.origin, inSession(id)))).toBe(at);
    await group.remove(at);
    expect(group.stats().sessions).toBe(4);
    await end(group, all);
  });
});

const hashKey: UpstreamGroupOptions["hashKey"] = ({ path }) => (path === "/" ? undefined : path);

async function placesOf(group: UpstreamGroup, count: number): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, index) => `${group.origin}/${index}`);
  return Promise.all(paths.map((path) => text(group.fetch(path))));
}

describe("keys", () => {
  test("decide the upstream, and only those of one that leaves move", async () => {
    const { all, group } = await start(4, { balance: "hash", hashKey });
    const before = await placesOf(group, 60);
    expect(await placesOf(group, 60)).toEqual(before);
    expect(new Set(before).size).toBe(4);
    const left = all[2]?.server.origin ?? "";
    await group.remove(left);
    const after = await placesOf(group, 60);
    for (const [index, place] of before.entries())
      expect(place === left || after[index] === place).toBe(true);
    group.add(left);
    expect(await placesOf(group, 60)).toEqual(before);
    await end(group, all);
  });

  test("requests without one go anywhere", async () => {
    const { all, group } = await start(2, { balance: "hash", hashKey });
    const answers = new Set<string>();
    for (let count = 0; count < 40; count += 1) answers.add(await text(group.fetch(group.origin)));
    expect(answers.size).toBe(2);
    await end(group, all);
  });

  test("with hashFailover, the next upstream of the ring takes over", async () => {
    const { all, group } = await start(3, { balance: "hash", hashKey, hashFailover: true });
    const before = await text(group.fetch(`${group.origin}/key`));
    await all.find(({ server }) => server.origin === before)?.server.stop();
    const after = await text(group.fetch(`${group.origin}/key`));
    expect(after).not.toBe(before);
    expect(group.stats()).toMatchObject({ retries: 1 });
    await end(group, all);
  });

  test("with a bound, a key that is asked for too often moves on", async () => {
    const { all, group } = await start(3, { balance: "hash", hashKey, hashLoadFactor: 1.25 });
    const places = await Promise.all(
      Array.from({ length: 30 }, () => text(group.fetch(`${group.origin}/hot`))),
    );
    expect(new Set(places).size).toBe(3);
    for (const { length } of Map.groupBy(places, (place) => place).values())
      expect(length).toBeLessThanOrEqual(13);
    await end(group, all);
  });
});
