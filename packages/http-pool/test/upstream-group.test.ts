import { once } from "node:events";
import { createServer } from "node:http";
import type { OutgoingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import {
  CircuitOpenError,
  PoolClosedError,
  UpstreamGroup,
  UpstreamUnavailableError,
} from "../src/index.ts";
import type { GroupEvents, UpstreamGroupOptions } from "../src/index.ts";
import { seeded } from "./helpers/seeded.ts";
import { driven, FakeTime, turn } from "./helpers/fake-time.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

const NAMES = ["eject", "readmit", "circuit", "panic", "retry", "hedge"] as const;

/** Answers with its own origin. */
async function startServers(count: number): Promise<TestServer[]> {
  return Promise.all(Array.from({ length: count }, () => startNamed()));
}

async function startNamed(): Promise<TestServer> {
  const server = await new TestServer().start();
  server.handler = (request, response) => {
    request.resume();
    response.end(server.origin);
  };
  return server;
}

function groupOf(
  servers: readonly TestServer[],
  options: UpstreamGroupOptions = {},
): { group: UpstreamGroup; time: FakeTime; log: [string, object][] } {
  const time = new FakeTime();
  const group = new UpstreamGroup(
    servers.map(({ origin }) => origin),
    {
      balance: "round-robin",
      now: time.now,
      schedule: time.schedule,
      random: () => 0.5,
      ...options,
    },
  );
  const log: [string, object][] = [];
  for (const name of NAMES) group.on(name, (event) => void log.push([name, event]));
  return { group, time, log };
}

async function stopAll(servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

function failing(status = 503, headers: OutgoingHttpHeaders = {}): TestServer["handler"] {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end("failed");
  };
}

function eventsOf<K extends keyof GroupEvents>(log: [string, object][], name: K): GroupEvents[K][] {
  return log.filter(([other]) => other === name).map(([, event]) => event as GroupEvents[K]);
}

function fetches(group: UpstreamGroup, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => text(group.fetch(group.origin))));
}

describe("many upstreams, one dispatcher", () => {
  test.each(["peak-ewma", "least-request", "round-robin", "hash"] as const)(
    "%s spreads requests over all of them",
    async (balance) => {
      const servers = await startServers(3);
      await using group = new UpstreamGroup(
        servers.map(({ origin }) => origin),
        { balance },
      );
      const answers: string[] = [];
      for (let round = 0; round < 20; round += 1) answers.push(...(await fetches(group, 6)));
      expect(new Set(answers)).toEqual(new Set(servers.map(({ origin }) => origin)));
      const stats = group.stats();
      expect(stats).toMatchObject({ calls: 120, requests: 120, retries: 0, usable: 3, members: 3 });
      expect(Object.values(stats.upstreams).every(({ pending }) => pending === 0)).toBe(true);
      await stopAll(servers);
    },
  );

  test("weights are kept, and changed at run time", async () => {
    const servers = await startServers(2);
    const [a, b] = servers.map(({ origin }) => origin) as [string, string];
    await using group = new UpstreamGroup([{ origin: a, weight: 3 }, b], {
      balance: "round-robin",
    });
    for (let count = 0; count < 12; count += 1) await text(group.fetch(a));
    expect(servers.map(({ requests }) => requests)).toEqual([9, 3]);
    group.setWeight(a, 1);
    for (let count = 0; count < 12; count += 1) await text(group.fetch(a));
    expect(servers.map(({ requests }) => requests)).toEqual([15, 9]);
    await stopAll(servers);
  });

  test("it is a dispatcher for the built-in fetch and for undici's request", async () => {
    const servers = await startServers(2);
    const { group } = groupOf(servers);
    const response = await fetch(`${group.origin}/x`, { dispatcher: group } as object);
    expect(response).toBeInstanceOf(globalThis.Response);
    await response.text();
    const { body } = await group.request({ path: "/", method: "GET", safe: true });
    expect(servers.map(({ origin }) => origin)).toContain(await body.text());
    expect(servers.map(({ requests }) => requests)).toEqual([1, 1]);
    await group.close();
    await stopAll(servers);
  });

  test("with an origin of its own, its upstreams see that in Host", async () => {
    await using server = await new TestServer((request, response) => {
      response.end(request.headers.host);
    }).start();
    await using group = new UpstreamGroup([server.origin], { origin: "http://mcp.example.test" });
    expect(await text(group.fetch("http://mcp.example.test/mcp"))).toBe("mcp.example.test");
    const given = { headers: { host: "other.test" } };
    expect(await text(group.fetch("http://mcp.example.test", given))).toBe("other.test");
    expect(await rejection(group.fetch(server.origin))).toMatchObject({
      code: "HTTP_POOL_INVALID_ARGUMENT",
      argument: "origin",
    });
  });

  test("the same zone comes first, and others when too few of it are fit", async () => {
    const servers = await startServers(4);
    const zones = ["near", "near", "far", "far"];
    const time = new FakeTime();
    await using group = new UpstreamGroup(
      servers.map(({ origin }, index) => ({ origin, zone: zones[index] ?? "" })),
      { zone: "near", now: time.now, schedule: time.schedule, random: seeded(1), probe: false },
    );
    await fetches(group, 40);
    expect(servers.slice(2).map(({ requests }) => requests)).toEqual([0, 0]);
    await servers[0]?.stop();
    await fetches(group, 40);
    const spilled = (servers[2]?.requests ?? 0) + (servers[3]?.requests ?? 0);
    // One of two is left: 1.4 times a half stays, the rest spills over.
    expect(group.stats()).toMatchObject({ usable: 3 });
    expect(spilled).toBeGreaterThan(0);
    await group.close();
    await stopAll(servers);
  });

  test("a new upstream starts slowly", async () => {
    const servers = await startServers(2);
    const [first, second] = servers as [TestServer, TestServer];
    const { group, time } = groupOf([first], { slowStartMs: 1000 });
    group.add(second.origin);
    for (let count = 0; count < 33; count += 1) await text(group.fetch(group.origin));
    expect(second.requests).toBe(3);
    time.advance(1000);
    for (let count = 0; count < 20; count += 1) await text(group.fetch(group.origin));
    expect(second.requests).toBeGreaterThanOrEqual(12);
    await group.close();
    await stopAll(servers);
  });
});

describe("failures", () => {
  test("of an upstream that cannot be reached nobody is told, and it is ejected", async () => {
    const servers = await startServers(3);
    const { group, log } = groupOf(servers);
    await servers[1]?.stop();
    const answers = await fetches(group, 30);
    expect(new Set(answers).size).toBe(2);
    expect(eventsOf(log, "eject")).toMatchObject([
      { upstream: servers[1]?.origin, reason: "connect", durationMs: 5000, ejections: 1 },
    ]);
    const [retry] = eventsOf(log, "retry");
    expect(retry).toMatchObject({ from: servers[1]?.origin, reason: "connect", attempt: 2 });
    expect(group.stats()).toMatchObject({ usable: 2, ejections: 1 });
    expect(group.stats().upstreams[servers[1]?.origin ?? ""]).toMatchObject({ state: "ejected" });
    await group.close();
    await stopAll(servers);
  });

  test("an answer 503 goes to another upstream if the request may be sent twice", async () => {
    const servers = await startServers(2);
    const [bad, good] = servers as [TestServer, TestServer];
    bad.handler = failing();
    const { group } = groupOf(servers);
    for (let count = 0; count < 4; count += 1)
      expect(await text(group.fetch(group.origin))).toBe(good.origin);
    const post = { method: "POST", body: "x" };
    const statuses = [
      (await group.fetch(group.origin, post)).status,
      (await group.fetch(group.origin, post)).status,
    ];
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 503]);
    expect((await group.fetch(group.origin, { ...post, idempotent: true })).status).toBe(200);
    await group.close();
    await stopAll(servers);
  });

  test("the answer that is passed over gives its connection back", async () => {
    const servers = await startServers(2);
    const [bad] = servers as [TestServer];
    bad.handler = failing();
    const { group } = groupOf(servers, { outlier: false, circuit: false });
    for (let count = 0; count < 20; count += 1) await text(group.fetch(group.origin));
    expect(bad.sockets).toBe(1);
    expect(bad.requests).toBeGreaterThan(5);
    expect(group.stats()).toMatchObject({ active: 0, failed: 0, aborted: 0 });
    await group.close();
    await stopAll(servers);
  });

  test("when all fail, the caller is told what the last one said", async () => {
    const servers = await startServers(3);
    for (const server of servers) server.handler = failing();
    const { group } = groupOf(servers);
    const response = await group.fetch(group.origin);
    expect(response.status).toBe(503);
    expect(await response.text()).toBe("failed");
    expect(servers.map(({ requests }) => requests)).toEqual([1, 1, 1]);
    const noticed = times(group, "close", 3);
    await stopAll(servers);
    await noticed;
    const error = await rejection(group.fetch(group.origin));
    expect(error).toBeInstanceOf(UpstreamUnavailableError);
    expect(error).toMatchObject({ attempts: 3, retryAfterMs: 1000 });
    expect((error as UpstreamUnavailableError).upstreams).toHaveLength(3);
    await group.close();
  });

  test("an upstream that says when to come back is asked no sooner, and not at all when that is too long", async () => {
    const [server] = (await startServers(1)) as [TestServer];
    server.handler = failing(503, { "retry-after": "1" });
    const { group, time, log } = groupOf([server], { outlier: false, circuit: false });
    expect((await driven(time, group.fetch(group.origin))).status).toBe(503);
    expect(eventsOf(log, "retry")).toMatchObject([{ delayMs: 1000 }, { delayMs: 1000 }]);

    server.handler = failing(503, { "retry-after": "2" });
    const before = server.requests;
    const response = await group.fetch(group.origin);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(server.requests - before).toBe(1);
    await group.close();
    await stopAll([server]);
  });

  test("nothing is sent again once headers have reached the caller", async () => {
    const servers = await startServers(2);
    for (const server of servers)
      server.handler = (_request, response) => {
        response.writeHead(200, { "content-length": "10" }).write("half");
        setImmediate(() => response.socket?.resetAndDestroy());
      };
    const { group, log } = groupOf(servers);
    const response = await group.fetch(group.origin);
    expect(response.status).toBe(200);
    expect(await rejection(response.text())).toMatchObject({
      code: expect.stringMatching(/SOCKET|RESET/) as string,
    });
    expect(eventsOf(log, "retry")).toEqual([]);
    expect(servers.map(({ requests }) => requests)).toEqual([1, 0]);
    expect(group.stats().upstreams[servers[0]?.origin ?? ""]).toMatchObject({ failures: 1 });
    await group.close();
    await stopAll(servers);
  });

  test("the budget bounds what is sent again, and the rest is told at once", async () => {
    const servers = await startServers(4);
    for (const server of servers) server.handler = failing();
    const { group } = groupOf(servers, {
      outlier: false,
      circuit: false,
      retry: { budgetRatio: 0.1, budgetMinPerSecond: 0 },
    });
    for (let count = 0; count < 200; count += 1) await (await group.fetch(group.origin)).text();
    const requests = servers.reduce((sum, server) => sum + server.requests, 0);
    expect(requests).toBeLessThanOrEqual(220);
    expect(requests).toBeGreaterThan(200);
    expect(group.stats()).toMatchObject({ calls: 200, retries: requests - 200 });
    expect(group.stats().overBudget).toBeGreaterThan(0);
    await group.close();
    await stopAll(servers);
  });

  test("only one upstream: it is tried again after a random delay that grows", async () => {
    const servers = await startServers(1);
    const [server] = servers as [TestServer];
    server.handler = failing();
    const { group, time, log } = groupOf(servers, { retry: { baseDelayMs: 100 } });
    const answer = group.fetch(group.origin);
    for (const delayMs of [50, 100]) {
      await until(() => group.stats().active === 0 && server.requests > 0 && time.pending > 0);
      time.advance(delayMs - 1);
      const before = server.requests;
      await turn();
      expect(server.requests).toBe(before);
      time.advance(1);
      await until(() => server.requests > before);
    }
    expect((await answer).status).toBe(503);
    expect(eventsOf(log, "retry").map(({ delayMs }) => delayMs)).toEqual([50, 100]);
    await group.close();
    await stopAll(servers);
  });

  test("the end of the group ends those that wait to be sent again", async () => {
    const servers = await startServers(1);
    await stopAll(servers);
    const { group } = groupOf(servers);
    const failed = rejection(group.fetch(group.origin));
    await until(() => group.stats().connectErrors > 0);
    await turn();
    await group.close();
    expect(await failed).toBeInstanceOf(UpstreamUnavailableError);
    expect(await rejection(group.fetch(group.origin))).toBeInstanceOf(PoolClosedError);
    expect(() => group.add("http://127.0.0.1:1")).toThrow(PoolClosedError);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

describe("ejection and circuit breakers", () => {
  test("each ejection lasts twice as long, and a trial decides about the next", async () => {
    const servers = await startServers(3);
    const [bad] = servers as [TestServer];
    bad.handler = failing();
    const { group, time, log } = groupOf(servers, { slowStartMs: 0 });
    for (const durationMs of [5000, 10_000, 20_000]) {
      await fetches(group, 30);
      expect(eventsOf(log, "eject").at(-1)).toMatchObject({ durationMs, reason: "status" });
      time.advance(durationMs - 1);
      expect(group.stats().upstreams[bad.origin]?.state).toBe("ejected");
      time.advance(1);
      expect(group.stats().upstreams[bad.origin]?.state).toBe("half-open");
      expect(eventsOf(log, "readmit").at(-1)).toEqual({ upstream: bad.origin, by: "time" });
    }
    const before = bad.requests;
    await fetches(group, 30);
    // Of thirty requests at once, one found out for all.
    expect(bad.requests - before).toBe(1);
    await group.close();
    await stopAll(servers);
  });

  test("one that is well again is used again, slowly at first", async () => {
    const servers = await startServers(2);
    const [bad] = servers as [TestServer];
    bad.handler = failing();
    const { group, time } = groupOf(servers);
    await fetches(group, 20);
    bad.handler = (_request, response) => response.end("well");
    time.advance(5000);
    // Not with the penalties of its failures, which would keep requests away from it.
    expect(group.stats().upstreams[bad.origin]?.latencyMs).toBeLessThan(1);
    const before = bad.requests;
    for (let count = 0; count < 11; count += 1) await text(group.fetch(group.origin));
    expect(bad.requests - before).toBeLessThanOrEqual(2);
    time.advance(5000);
    for (let count = 0; count < 40; count += 1) await text(group.fetch(group.origin));
    expect(group.stats().upstreams[bad.origin]).toMatchObject({ state: "usable" });
    expect(bad.requests - before).toBeGreaterThanOrEqual(15);
    await group.close();
    await stopAll(servers);
  });

  test("no more than the share is ejected, and of two at most one", async () => {
    const servers = await startServers(5);
    for (const server of servers.slice(0, 4)) server.handler = failing();
    const { group, log } = groupOf(servers, { circuit: false, retry: false });
    for (let count = 0; count < 100; count += 1) await (await group.fetch(group.origin)).text();
    expect(eventsOf(log, "eject")).toHaveLength(2);
    const pair = groupOf(servers.slice(0, 2), { circuit: false, retry: false });
    for (let count = 0; count < 100; count += 1)
      await (await pair.group.fetch(pair.group.origin)).text();
    expect(eventsOf(pair.log, "eject")).toHaveLength(1);
    await group.close();
    await pair.group.close();
    await stopAll(servers);
  });

  test("a whole outage is answered at once, and is over within one probe interval", async () => {
    const servers = await startServers(3);
    const { group, time, log } = groupOf(servers);
    await fetches(group, 9);
    await stopAll(servers);
    const failures: Error[] = [];
    while (!(failures.at(-1) instanceof CircuitOpenError))
      failures.push(await driven(time, rejection(group.fetch(group.origin))));
    // Ten failures of each upstream, at up to three a request.
    expect(failures.length).toBeLessThanOrEqual(31);
    const error = failures.at(-1);
    expect(error).toMatchObject({ attempts: 0, upstreams: servers.map(({ origin }) => origin) });
    expect((error as CircuitOpenError).retryAfterMs).toBeLessThanOrEqual(1000);
    expect(eventsOf(log, "panic")).toMatchObject([{ active: true }]);
    const attempts = group.stats().connectErrors;
    for (let count = 0; count < 100; count += 1) await rejection(group.fetch(group.origin));
    expect(group.stats().connectErrors).toBe(attempts);
    await Promise.all(servers.map((server) => server.start()));
    time.advance(1000);
    expect(servers.map(({ origin }) => origin)).toContain(await text(group.fetch(group.origin)));
    await until(() =>
      Object.values(group.stats().upstreams).every(({ state }) => state !== "open"),
    );
    for (let count = 0; count < 9; count += 1) await text(group.fetch(group.origin));
    expect(group.stats()).toMatchObject({ panic: false, usable: 3 });
    expect(eventsOf(log, "panic").at(-1)).toMatchObject({ active: false });
    await group.close();
    await stopAll(servers);
  });

  test("a probe that only connects says nothing of an upstream that fails after that", async () => {
    const servers = await startServers(2);
    const [bad] = servers as [TestServer];
    bad.handler = failing();
    const { group, time } = groupOf(servers);
    await fetches(group, 20);
    expect(group.stats().upstreams[bad.origin]?.state).toBe("ejected");
    const probed = times(group, "healthCheck", 1);
    time.advance(1000);
    await probed;
    await turn();
    expect(group.stats()).toMatchObject({ healthChecks: { ok: 1 }, readmissions: 0 });
    expect(group.stats().upstreams[bad.origin]?.state).toBe("ejected");
    await group.close();
    await stopAll(servers);
  });

  test("a probe of a path takes an upstream out before a request fails, and brings it back", async () => {
    const servers = await startServers(2);
    const [sick, well] = servers as [TestServer, TestServer];
    const { group, time } = groupOf(servers, {
      probe: { path: "/health", method: "OPTIONS", jitter: 0, unhealthyThreshold: 2 },
    });
    const methods = new Set<string | undefined>();
    const answer = (status: number): TestServer["handler"] => {
      return (request, response) => {
        if (request.url === "/health") methods.add(request.method);
        response.writeHead(request.url === "/health" ? status : 200).end("ok");
      };
    };
    sick.handler = answer(500);
    well.handler = answer(200);
    for (let count = 0; count < 2; count += 1) {
      const probed = times(group, "healthCheck", 2);
      time.advance(1000);
      await probed;
      await turn();
    }
    expect(group.stats().upstreams[sick.origin]?.state).toBe("unhealthy");
    const before = sick.requests;
    await fetches(group, 10);
    expect(sick.requests).toBe(before);
    sick.handler = answer(200);
    const probed = times(group, "healthCheck", 2);
    time.advance(1000);
    await probed;
    await turn();
    expect(group.stats().upstreams[sick.origin]?.state).toBe("usable");
    expect(methods).toEqual(new Set(["OPTIONS"]));
    await group.close();
    await stopAll(servers);
  });
});

test("an upstream that was healthy for a while is ejected for a shorter time again", async () => {
  const servers = await startServers(2);
  const [bad] = servers as [TestServer, TestServer];
  const options = { probe: false, circuit: false, outlier: { consecutiveFailures: 1 } } as const;
  const { group, time, log } = groupOf(servers, { ...options, retry: false });
  const { handler } = bad;
  const failOnce = async (): Promise<number | undefined> => {
    const before = eventsOf(log, "eject").length;
    bad.handler = failing();
    while (eventsOf(log, "eject").length === before) await fetches(group, 2);
    bad.handler = handler;
    return eventsOf(log, "eject").at(-1)?.durationMs;
  };
  expect(await failOnce()).toBe(5000);
  time.advance(5000);
  expect(await failOnce()).toBe(10_000);
  // Back after ten seconds, and healthy for two times five.
  time.advance(20_000);
  expect(await failOnce()).toBe(5000);
  await group.close();
  await stopAll(servers);
});

describe("hangs and hedges", () => {
  test("a silent upstream is found, its requests go elsewhere, and its answer clears it", async () => {
    const servers = await startServers(2);
    const [silent, well] = servers as [TestServer, TestServer];
    const { group, time, log } = groupOf(servers);
    const held = new HeldAnswers();
    silent.handler = held.handler;
    const post = rejectionOrText(group.fetch(group.origin, { method: "POST", body: "x" }));
    await held.until(1);
    await text(group.fetch(group.origin));
    const get = text(group.fetch(group.origin));
    await held.until(2);
    time.advance(999);
    expect(eventsOf(log, "eject")).toEqual([]);
    time.advance(1);
    expect(await get).toBe(well.origin);
    expect(eventsOf(log, "eject")).toMatchObject([{ upstream: silent.origin, reason: "hang" }]);
    expect(eventsOf(log, "retry")).toMatchObject([{ from: silent.origin, reason: "hang" }]);
    // The one that may not be sent twice waits for its answer, which is a sign of life.
    held.release();
    expect(await post).toBe("ok");
    expect(eventsOf(log, "readmit")).toEqual([{ upstream: silent.origin, by: "answer" }]);
    await until(() => group.stats().active === 0);
    expect(group.stats().upstreams[silent.origin]).toMatchObject({ pending: 0 });
    await group.close();
    await stopAll(servers);
  });

  test("a hedge asks a second upstream; the first answer wins and the other is cut off", async () => {
    const servers = await startServers(2);
    const [slow, fast] = servers as [TestServer, TestServer];
    const { group, time, log } = groupOf(servers, { hedge: { delayMs: 20, budgetRatio: 1 } });
    const held = new HeldAnswers();
    slow.handler = held.handler;
    const answer = text(group.fetch(group.origin));
    await held.until(1);
    time.advance(20);
    expect(await answer).toBe(fast.origin);
    expect(eventsOf(log, "hedge")).toEqual([
      { upstream: fast.origin, from: slow.origin, delayMs: 20 },
    ]);
    await until(() => group.stats().active === 0);
    expect(group.stats()).toMatchObject({ hedges: 1, hedgesWon: 1, retries: 0 });
    await until(() => group.stats().upstreams[slow.origin]?.open === 0);
    expect(group.stats().upstreams[slow.origin]).toMatchObject({ pending: 0, failures: 0 });
    await group.close();
    await stopAll(servers);
  });

  test("what may not be sent twice is never hedged, nor is a stream, and the budget holds", async () => {
    const servers = await startServers(2);
    const held = new HeldAnswers();
    for (const server of servers) server.handler = held.handler;
    const { group, time } = groupOf(servers, {
      hedge: { delayMs: 20, budgetRatio: 0 },
      outlier: false,
    });
    const answers = [
      text(group.fetch(group.origin, { method: "POST", body: "x" })),
      text(group.fetch(group.origin, { lane: "stream" })),
      text(group.fetch(group.origin)),
      text(group.fetch(group.origin)),
    ];
    await held.until(4);
    time.advance(1000);
    // A minimum of one in ten seconds.
    expect(group.stats()).toMatchObject({ hedges: 1, overBudget: 1 });
    await held.until(5);
    held.release();
    await Promise.all(answers);
    expect(servers.reduce((sum, { requests }) => sum + requests, 0)).toBe(5);
    await group.close();
    await stopAll(servers);
  });

  test("the caller's abort ends all attempts", async () => {
    const servers = await startServers(2);
    const held = new HeldAnswers();
    for (const server of servers) server.handler = held.handler;
    const { group, time } = groupOf(servers, { hedge: { delayMs: 20 }, outlier: false });
    const abort = new AbortController();
    const failed = rejection(group.fetch(group.origin, { signal: abort.signal }));
    await held.until(1);
    time.advance(20);
    await held.until(2);
    abort.abort(new Error("enough"));
    expect((await failed).message).toBe("enough");
    await until(() => group.stats().active === 0);
    const stats = group.stats();
    expect(stats).toMatchObject({ aborted: 2, failed: 0 });
    for (const upstream of Object.values(stats.upstreams))
      expect(upstream).toMatchObject({ pending: 0, failures: 0 });
    await group.close();
    await stopAll(servers);
  });
});

async function rejectionOrText(response: Promise<Response>): Promise<string> {
  try {
    return await (await response).text();
  } catch (error) {
    return String(error);
  }
}

describe("streams", () => {
  test("do not count as load or latency, and neither does an event stream that a POST opens", async () => {
    const servers = await startServers(1);
    const [server] = servers as [TestServer];
    server.handler = (_request, response) => {
      response.setHeader("content-type", "text/event-stream").write("data: 1\n\n");
    };
    const { group, time } = groupOf(servers);
    const stream = await group.fetch(group.origin, { lane: "stream" });
    const held = new HeldAnswers();
    const { handler } = server;
    server.handler = held.handler;
    const late = text(group.fetch(group.origin, { lane: "stream" }));
    await held.until(1);
    expect(group.stats().upstreams[server.origin]).toMatchObject({ pending: 0, streams: 2 });
    time.advance(10_000);
    held.release();
    expect(await late).toBe("ok");
    server.handler = handler;
    const post = await group.fetch(group.origin, { method: "POST", body: "x" });
    time.advance(60_000);
    const upstream = group.stats().upstreams[server.origin];
    expect(upstream).toMatchObject({ pending: 0, streams: 1, state: "usable" });
    expect(upstream?.latencyMs).toBeLessThan(1);
    await stream.body?.cancel();
    await post.body?.cancel();
    await group.close();
    await stopAll(servers);
  });
});

describe("members change at run time", () => {
  test("a removed upstream ends what is under way and gets nothing more", async () => {
    const servers = await startServers(2);
    const [leaving, staying] = servers as [TestServer, TestServer];
    const { group } = groupOf(servers);
    const held = new HeldAnswers();
    leaving.handler = held.handler;
    const running = text(group.fetch(group.origin));
    await held.until(1);
    const removed = group.remove(leaving.origin);
    expect(new Set(await fetches(group, 10))).toEqual(new Set([staying.origin]));
    held.release();
    expect(await running).toBe("ok");
    await removed;
    const stats = group.stats();
    expect(stats).toMatchObject({ members: 1, requests: 11, active: 0 });
    expect(Object.keys(stats.upstreams)).toEqual([staying.origin]);
    group.add(leaving.origin);
    expect(group.stats()).toMatchObject({ members: 2, requests: 11 });
    await group.close();
    await stopAll(servers);
  });

  test("a drained upstream gets nothing more, and drain says when it is quiet", async () => {
    const servers = await startServers(2);
    const [leaving] = servers as [TestServer];
    const { group } = groupOf(servers);
    const held = new HeldAnswers();
    leaving.handler = held.handler;
    const running = text(group.fetch(group.origin));
    await held.until(1);
    const drained = group.drain(leaving.origin);
    await fetches(group, 10);
    expect(leaving.requests).toBe(1);
    expect(group.stats().upstreams[leaving.origin]).toMatchObject({ state: "draining", active: 1 });
    held.release();
    await Promise.all([running, drained]);
    await group.close();
    await stopAll(servers);
  });

  test("a group without an upstream says so", async () => {
    const group = new UpstreamGroup([], { origin: "http://mcp.example.test" });
    const error = await rejection(group.fetch("http://mcp.example.test/"));
    expect(error).toBeInstanceOf(UpstreamUnavailableError);
    expect(error).toMatchObject({ upstreams: [], attempts: 0 });
    await using server = await new TestServer().start();
    group.add(server.origin);
    expect(await text(group.fetch("http://mcp.example.test/"))).toBe("ok");
    await group.close();
  });

  test("wrong arguments are refused by name", async () => {
    const group = new UpstreamGroup(["http://127.0.0.1:1"], { maxUpstreams: 2 });
    expect(() => group.add("http://127.0.0.1:1")).toThrow("upstream");
    expect(() => group.add({ origin: "http://127.0.0.1:2", weight: 0 })).toThrow("weight");
    group.add("http://127.0.0.1:2");
    expect(() => group.add("http://127.0.0.1:3")).toThrow("at most 2");
    expect(() => group.setWeight("http://127.0.0.1:9", 1)).toThrow("in the group");
    expect(() => new UpstreamGroup([])).toThrow("upstreams");
    expect(() => new UpstreamGroup("x" as never)).toThrow("upstreams");
    const wrong: [string, object][] = [
      ["balance", { balance: "random" }],
      ["hashKey", { hashKey: 1 }],
      ["probe.method", { probe: { method: "HEAD" } }],
      ["probe.path", { probe: { path: "x" } }],
      ["outlier.maxEjectedShare", { outlier: { maxEjectedShare: 2 } }],
      ["circuit.trials", { circuit: { trials: 0 } }],
      ["retry.statusCodes", { retry: { statusCodes: [200] } }],
      ["retry.budgetMinPerSecond", { retry: { budgetMinPerSecond: Infinity } }],
      ["hedge.delayMs", { hedge: { delayMs: 0 } }],
      ["panicThreshold", { panicThreshold: -1 }],
      ["hashLoadFactor", { hashLoadFactor: 0.5 }],
      ["maxConnections", { pool: { maxConnections: 0 } }],
    ];
    for (const [name, options] of wrong)
      expect(() => new UpstreamGroup(["http://127.0.0.1:1"], options)).toThrow(name);
    expect(() => new UpstreamGroup(["http://127.0.0.1:1"], null as never)).toThrow("options");
    await group.close();
  });
});

describe("handlers of undici", () => {
  test("one that pauses before the answer gets nothing of its body until it resumes", async () => {
    const servers = await startServers(2);
    const { group } = groupOf(servers);
    let bytes = 0;
    let controller: Dispatcher.DispatchController | undefined;
    const started = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    group.dispatch(
      { path: "/", method: "GET" },
      {
        onRequestStart: (given) => {
          controller = given;
          given.pause();
        },
        onResponseStart: () => started.resolve(),
        onResponseData: (_controller, chunk) => (bytes += chunk.byteLength),
        onResponseEnd: () => ended.resolve(),
      },
    );
    await started.promise;
    for (let turns = 0; turns < 10; turns += 1)
      await new Promise((resolve) => setImmediate(resolve));
    expect(bytes).toBe(0);
    controller?.resume();
    await ended.promise;
    expect(bytes).toBeGreaterThan(0);
    await group.close();
    await stopAll(servers);
  });

  test("an upgrade goes through, and is never sent twice", async () => {
    const server = createServer();
    server.on("upgrade", (_request, socket) => {
      socket.end(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const group = new UpstreamGroup([`http://127.0.0.1:${port}`]);
    const { socket } = await group.upgrade({ path: "/", protocol: "echo" });
    socket.destroy();
    expect(Object.values(group.stats().upstreams)).toMatchObject([{ pending: 0, successes: 1 }]);
    await group.destroy();
    server.close();
  });

  test("destroy ends what is under way with its error", async () => {
    const servers = await startServers(2);
    const held = new HeldAnswers();
    for (const server of servers) server.handler = held.handler;
    const { group, time } = groupOf(servers);
    const failed = [rejection(group.fetch(group.origin)), rejection(group.fetch(group.origin))];
    await held.until(2);
    const error = new Error("stop");
    await group.destroy(error);
    for (const reason of await Promise.all(failed)) expect(reason).toBe(error);
    expect(time.pending).toBe(0);
    await stopAll(servers);
  });

  test("what a handler throws is told to it, and costs nothing", async () => {
    const servers = await startServers(1);
    const { group } = groupOf(servers);
    const thrown = new Error("from the handler");
    for (const name of ["onRequestStart", "onResponseStart", "onResponseData", "onResponseEnd"]) {
      const error = await new Promise<Error>((resolve) => {
        const handler = {
          onRequestStart: () => undefined,
          onResponseError: (_controller: unknown, reason: Error) => resolve(reason),
          [name]: () => {
            throw thrown;
          },
        };
        group.dispatch({ path: "/", method: "GET" }, handler);
      });
      expect(error).toBe(thrown);
    }
    await until(() => group.stats().active === 0);
    expect(await text(group.fetch(group.origin))).toBe(servers[0]?.origin);
    expect(Object.values(group.stats().upstreams)).toMatchObject([{ pending: 0 }]);
    await group.close();
    await stopAll(servers);
  });
});
