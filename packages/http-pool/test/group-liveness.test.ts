import { describe, expect, test } from "vitest";
import { UpstreamGroup } from "../src/index.ts";
import type { PoolFetchInit, UpstreamGroupOptions } from "../src/index.ts";
import { driven, FakeTime, turn } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { ok, RawServer } from "./helpers/raw-server.ts";
import type { RawAnswer } from "./helpers/raw-server.ts";
import { seeded } from "./helpers/seeded.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

const POST: PoolFetchInit = { method: "POST", body: "{}" };

function timed(
  origins: readonly string[],
  options: UpstreamGroupOptions,
): { group: UpstreamGroup; time: FakeTime } {
  const time = new FakeTime();
  const { now, schedule } = time;
  const all = { slowStartMs: 0, random: seeded(1), now, schedule, ...options };
  return { group: new UpstreamGroup(origins, all), time };
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await turn();
}

/** A group whose only upstream was gone for long enough to open its circuit, and is back. */
async function afterOutage(
  options: UpstreamGroupOptions,
): Promise<{ group: UpstreamGroup; time: FakeTime; server: RawServer }> {
  const server = await new RawServer((socket, head) => {
    if (!head.startsWith("POST")) socket.write(ok());
  }).start();
  await server.stop();
  const circuit = { consecutiveFailures: 1, openMs: 1000 };
  const { group, time } = timed([server.origin], { circuit, retry: false, ...options });
  await rejection(group.fetch(group.origin));
  expect(group.stats().upstreams[server.origin]).toMatchObject({ state: "open" });
  await server.start();
  time.advance(1000);
  expect(group.stats().upstreams[server.origin]).toMatchObject({ state: "half-open" });
  return { group, time, server };
}

describe("a trial that takes long does not prolong an outage", () => {
  test("another is admitted after max(openMs, probe interval)", async () => {
    const { group, time, server } = await afterOutage({ probe: false });
    const slow = rejection(group.fetch(group.origin, POST));
    expect(await rejection(group.fetch(group.origin))).toMatchObject({
      code: "HTTP_POOL_CIRCUIT_OPEN",
      retryAfterMs: 1000,
    });
    time.advance(999);
    expect(await rejection(group.fetch(group.origin))).toMatchObject({ retryAfterMs: 1 });
    time.advance(1);
    expect(await text(group.fetch(group.origin))).toBe("ok");
    expect(group.stats().upstreams[server.origin]).toMatchObject({ state: "usable" });
    await group.destroy();
    await slow;
    await server.stop();
  });

  test("a probe that connects ends it", async () => {
    const probe = { intervalMs: 1500, jitter: 0 };
    const { group, time, server } = await afterOutage({ probe });
    const slow = rejection(group.fetch(group.origin, { ...POST, lane: "stream" }));
    await rejection(group.fetch(group.origin));
    time.advance(500);
    while (group.stats().upstreams[server.origin]?.state !== "usable") await turn();
    expect(await text(group.fetch(group.origin))).toBe("ok");
    await group.destroy();
    await slow;
    await server.stop();
  });

  test("one that its caller gave up lets another in at once", async () => {
    const { group, server } = await afterOutage({ probe: false });
    const aborter = new AbortController();
    const slow = rejection(group.fetch(group.origin, { ...POST, signal: aborter.signal }));
    while (server.heads.length === 0) await turn();
    expect(await rejection(group.fetch(group.origin))).toMatchObject({
      code: "HTTP_POOL_CIRCUIT_OPEN",
    });
    aborter.abort();
    await slow;
    expect(await text(group.fetch(group.origin))).toBe("ok");
    await group.destroy();
    await server.stop();
  });
});

describe("requests that must not be sent twice", () => {
  test.each(["from the start", "after it was well", "added later"])(
    "few go to an upstream that is silent %s",
    async (when) => {
      const held = new HeldAnswers();
      const busy = new HeldAnswers();
      await using silent = await new TestServer(held.handler).start();
      const well = [
        await new TestServer(busy.handler).start(),
        await new TestServer(busy.handler).start(),
      ];
      const origins = well.map(({ origin }) => origin);
      if (when !== "added later") origins.push(silent.origin);
      const { group, time } = timed(origins, {});
      const all: Promise<unknown>[] = [];
      const post = async (): Promise<void> => {
        const answer = text(group.fetch(group.origin, POST)).catch((error: Error) => error);
        all.push(answer);
        await Promise.race([busy.until(1), held.until(held.held.length + 1)]);
        time.advance(20);
        if (busy.held.length === 0) return;
        busy.release();
        await answer;
      };
      if (when === "after it was well") {
        silent.handler = busy.handler;
        for (let sent = 0; sent < 30; sent += 1) await post();
        silent.handler = held.handler;
        for (const server of [silent, ...well]) server.requests = 0;
      }
      if (when === "added later") group.add(silent.origin);
      for (let sent = 0; sent < 200; sent += 1) await post();
      expect(silent.requests).toBeGreaterThan(0);
      expect(silent.requests).toBeLessThanOrEqual(3);
      // None was sent twice.
      expect(silent.requests + sum(well.map(({ requests }) => requests))).toBe(200);
      held.release();
      await Promise.all(all);
      await group.destroy();
      await Promise.all(well.map((server) => server.stop()));
    },
  );

  test("a hung one keeps a write where it is, and sends a read elsewhere", async () => {
    const held = new HeldAnswers();
    await using silent = await new TestServer(held.handler).start();
    await using well = await new TestServer().start();
    const { group, time } = timed([silent.origin, well.origin], { balance: "round-robin" });
    const put = text(group.fetch(group.origin, { method: "PUT", body: "x" }));
    await held.until(1);
    time.advance(1100);
    await turns(3);
    expect(group.stats()).toMatchObject({
      retries: 0,
      upstreams: { [silent.origin]: { ejections: 1 } },
    });
    expect(well.requests).toBe(0);
    held.release();
    expect(await put).toBe("ok");
    const get = text(group.fetch(group.origin));
    await Promise.race([get, held.until(1)]);
    if (held.held.length > 0) time.advance(5000);
    expect(await get).toBe("ok");
    await group.destroy();
  });

  test("hedges are for those that only read, by their method or since they say so", async () => {
    const held = new HeldAnswers();
    const servers = [
      await new TestServer(held.handler).start(),
      await new TestServer(held.handler).start(),
    ];
    const hedge = { delayMs: 10, budgetRatio: 1 };
    const outlier = { minHangMs: 0 };
    const { group, time } = timed(
      servers.map(({ origin }) => origin),
      { hedge, outlier },
    );
    const CASES: readonly [PoolFetchInit, number][] = [
      [{ method: "PUT", body: "x" }, 0],
      [{ method: "DELETE" }, 0],
      [{ ...POST, idempotent: true }, 0],
      [{ ...POST, idempotent: true, safe: true }, 1],
      [{ method: "GET", safe: false }, 0],
      [{ method: "OPTIONS" }, 1],
      [{ ...POST, safe: true }, 0],
    ];
    for (const [init, hedges] of CASES) {
      const before = group.stats().hedges;
      const answer = text(group.fetch(group.origin, init));
      await held.until(1);
      time.advance(20);
      await held.until(1 + hedges);
      await turns(2);
      expect(group.stats().hedges - before).toBe(hedges);
      held.release();
      expect(await answer).toBe("ok");
    }
    await group.destroy();
    await Promise.all(servers.map((server) => server.stop()));
  });
});

describe("an answer from the path of the probe decides a trial that takes long", () => {
  test.each([
    ["reset", "usable"],
    ["status", "half-open"],
  ])("after a %s it is %s", async (failure, state) => {
    await using server = await new TestServer((request, response) => {
      if (request.url === "/health") response.end("ok");
      else if (request.method === "POST") request.resume();
      else if (failure === "reset") request.socket.resetAndDestroy();
      else response.writeHead(500).end();
    }).start();
    const circuit = { consecutiveFailures: 1, openMs: 1000 };
    const probe = { path: "/health", intervalMs: 1500, jitter: 0 };
    const { group, time } = timed([server.origin], { circuit, probe, retry: false });
    await group.fetch(group.origin).catch(() => undefined);
    const stateNow = (): unknown => group.stats().upstreams[server.origin]?.state;
    while (stateNow() !== "open") await turn();
    time.advance(1000);
    const slow = rejection(group.fetch(group.origin, POST));
    expect(stateNow()).toBe("half-open");
    const checked = new Promise((resolve) => group.on("healthCheck", resolve));
    time.advance(500);
    expect(await checked).toMatchObject({ ok: true });
    await turns(2);
    expect(stateNow()).toBe(state);
    await group.destroy();
    await slow;
  });
});

describe("a request that breaks every connection", () => {
  test("is executed maxAttempts times, since a dead connection counts too", async () => {
    expect(await poisoned({ retry: { maxAttempts: 3 } }, 0.05)).toEqual([3, 1]);
    expect(await poisoned({ retry: { maxAttempts: 2 } }, 0.05)).toEqual([2, 1]);
    expect(await poisoned({ retry: false }, 0.05)).toEqual([1, 1]);
  });

  test("is executed no more often than the budget allows", async () => {
    const [executed, sent] = await poisoned({ retry: { budgetRatio: 0, budgetMinPerSecond: 0.5 } });
    expect(executed).toBeLessThanOrEqual(sent + 5);
    expect(executed).toBeGreaterThan(sent);
  });
});

test("a guard given to a group guards every upstream", async () => {
  await using server = await new TestServer().start();
  const asked: string[] = [];
  const allowAddress = (address: string): boolean => {
    asked.push(address);
    return false;
  };
  await using group = new UpstreamGroup([server.origin], { allowAddress, retry: false });
  expect(await rejection(group.fetch(group.origin))).toMatchObject({
    code: "HTTP_POOL_ADDRESS_NOT_ALLOWED",
  });
  expect(asked).toContain("127.0.0.1");
  expect(server.sockets).toBe(0);
  expect(() => new UpstreamGroup([server.origin], { allowAddress: 5 as never })).toThrow(
    expect.objectContaining({ argument: "allowAddress" }),
  );
});

function onlyFirstLoopback(address: string): boolean {
  return address === "127.0.0.1";
}

test("an upstream whose address is refused is passed over, since nothing was sent to it", async () => {
  await using server = await new TestServer().start();
  const refused = "http://127.0.0.2:1";
  const options: UpstreamGroupOptions = {
    allowAddress: onlyFirstLoopback,
    balance: "round-robin",
    probe: false,
  };
  await using group = new UpstreamGroup([refused, server.origin], options);
  for (let sent = 0; sent < 4; sent += 1)
    expect(await text(group.fetch(group.origin, POST))).toBe("ok");
  expect(group.stats().upstreams[refused]?.connectErrors).toBeGreaterThan(0);
  expect(server.requests).toBe(4);
});

test("one that could not be reached has not had the request, so that a dead connection is replayed", async () => {
  const origins: string[] = [];
  let answers = 0;
  await using server = await new TestServer((request, response) => {
    answers += 1;
    // The second request of a connection finds it dead.
    if (answers === 2) request.socket.resetAndDestroy();
    else response.end("ok");
  }).start();
  const gone = await new TestServer().start();
  await gone.stop();
  origins.push(server.origin, gone.origin);
  await using group = new UpstreamGroup(origins, {
    balance: "round-robin",
    probe: false,
    outlier: false,
    circuit: false,
    retry: { maxAttempts: 2 },
  });
  for (let sent = 0; sent < 4; sent += 1) expect(await text(group.fetch(group.origin))).toBe("ok");
  expect(group.stats()).toMatchObject({ replays: 1 });
});

test("when no upstream is fit, the caller is told that, and not of circuits", async () => {
  await using server = await new TestServer((_request, response) => {
    response.writeHead(500).end();
  }).start();
  const probe = { path: "/health", intervalMs: 10, jitter: 0, unhealthyThreshold: 1 };
  const { group, time } = timed([server.origin], { panicThreshold: 0, probe });
  while (group.stats().upstreams[server.origin]?.state !== "unhealthy") {
    time.advance(10);
    await turn();
  }
  const error = await driven(time, rejection(group.fetch(group.origin)));
  expect(error).toMatchObject({ code: "HTTP_POOL_UPSTREAM_UNAVAILABLE", retryAfterMs: 1000 });
  expect(error.message).toContain("none of the group's upstreams is fit");
  await group.destroy();
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function poisoned(options: UpstreamGroupOptions, ratio = 1): Promise<[number, number]> {
  let executed = 0;
  const answer: RawAnswer = (socket, head) => {
    if (!head.includes("/poison")) return socket.write(ok());
    executed += 1;
    return socket.resetAndDestroy();
  };
  const servers = await Promise.all([1, 2, 3].map(() => new RawServer(answer).start()));
  const { group } = timed(
    servers.map(({ origin }) => origin),
    { balance: "round-robin", outlier: false, circuit: false, ...options },
  );
  const count = 20;
  for (let sent = 0; sent < count * ratio; sent += 1) {
    for (let warm = 0; warm < 3; warm += 1) await text(group.fetch(group.origin));
    await rejection(group.fetch(`${group.origin}/poison`));
  }
  await group.destroy();
  await Promise.all(servers.map((server) => server.stop()));
  return [executed, count * ratio];
}
