import { connect } from "node:net";
import { createServer } from "node:http";
import { once } from "node:events";
import * as fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { dashboard } from "../src/dashboard.ts";
import { AddressTable, callerOf } from "../src/endpoint-addresses.ts";
import { Metrics, guardEndpoint, listen } from "../src/index.ts";
import type { EndpointGuardOptions, GuardRequest } from "../src/index.ts";
import { ask } from "./dashboard-requests.ts";

const TOKEN = "correct-horse-battery";
const OTHER_TOKEN = "another-token-of-actions";
const ATTACKER = "203.0.113.9";
const OPERATOR = "198.51.100.4";

/** A guard with its own clock: `from(address, token)` gives the status that a request of it would get. */
function scene(options: EndpointGuardOptions = {}) {
  let timeMs = 5_000;
  const guard = guardEndpoint({ token: TOKEN, now: () => timeMs, ...options });
  const from = (address: string | undefined, token?: string) =>
    guard.refuse(requestOf(address, token))?.status ?? 200;
  return {
    guard,
    from,
    spend: (address: string | undefined, count = 10) => {
      for (let sent = 0; sent < count; sent += 1) from(address, `wrong-${sent}`);
    },
    pass: (ms: number) => {
      timeMs += ms;
    },
  };
}

function requestOf(remoteAddress: string | undefined, token?: string): GuardRequest {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return { url: "/", headers: { host: "localhost", ...authorization }, socket: { remoteAddress } };
}

/** A dashboard with one action and its own clock: `send` asks for a path with a token and gives back the status. */
async function board(options: { guard?: EndpointGuardOptions; actionToken?: string }) {
  const metrics = new Metrics({ runtime: false });
  let timeMs = 0;
  let ran = 0;
  const actions = [{ name: "go", label: "Go", run: () => void (ran += 1) }];
  const made = dashboard(metrics, { ...options, actions, now: () => timeMs });
  const listener = await listen({ "/": made.handler });
  onTestFinished(async () => {
    made.close();
    metrics.close();
    await listener.close();
  });
  const send = async (path: string, token: string) => {
    const method = path.startsWith("/api/actions/") ? "POST" : "GET";
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = method === "POST" ? { body: "{}" } : {};
    return (await ask(listener.port, path, { method, headers, ...body })).status;
  };
  return {
    send,
    stats: () => made.stats(),
    ran: () => ran,
    pass: (ms: number) => (timeMs += ms),
  };
}

describe("wrong tokens", () => {
  test("get 401 up to the limit and then 429 with the seconds that are left", () => {
    const { guard, from, pass } = scene();
    for (let sent = 0; sent < 10; sent += 1) {
      expect(from(ATTACKER, `wrong-${sent}`)).toBe(401);
      pass(100);
    }
    expect(guard.refuse(requestOf(ATTACKER, "wrong"))).toMatchObject({
      status: 429,
      reason: "token_rate",
      retryAfterSeconds: 59,
    });
    pass(57_500);
    expect(guard.refuse(requestOf(ATTACKER, "wrong"))?.retryAfterSeconds).toBe(2);
    pass(1_499);
    expect(guard.refuse(requestOf(ATTACKER, "wrong"))?.retryAfterSeconds).toBe(1);
    pass(1);
    expect(from(ATTACKER, "wrong")).toBe(401);
  });

  test("do not tell a guesser that a guess beyond the limit was right", () => {
    const { guard, spend } = scene();
    spend(ATTACKER);
    const right = guard.refuse(requestOf(ATTACKER, TOKEN));
    expect(right).toEqual(guard.refuse(requestOf(ATTACKER, "wrong")));
    expect(right?.status).toBe(429);
  });

  test("beyond the limit do not make the wait longer, nor the guesser known", () => {
    const { from, spend, pass } = scene();
    spend(ATTACKER, 40);
    pass(59_999);
    expect(from(ATTACKER, TOKEN)).toBe(429);
    expect(from(ATTACKER, "wrong")).toBe(429);
    pass(1);
    expect(from(ATTACKER, TOKEN)).toBe(200);
  });

  test("of one address leave every other alone", () => {
    const { from, spend } = scene();
    spend(ATTACKER);
    expect(from(OPERATOR, TOKEN)).toBe(200);
    expect(from(OPERATOR, "typo")).toBe(401);
    expect(from("203.0.113.10", TOKEN)).toBe(200);
  });

  test("do not lock out an operator who shares the address of a proxy with a guesser", () => {
    const { from, spend, pass } = scene();
    expect(from(OPERATOR, TOKEN)).toBe(200);
    for (let minute = 0; minute < 59; minute += 1) {
      spend(OPERATOR, 50);
      expect(from(OPERATOR, "wrong")).toBe(429);
      pass(60_000);
    }
    spend(OPERATOR);
    expect(from(OPERATOR, TOKEN)).toBe(200);
    pass(3_599_999);
    spend(OPERATOR);
    expect(from(OPERATOR, TOKEN)).toBe(200);
    pass(3_600_000);
    spend(OPERATOR);
    expect(from(OPERATOR, TOKEN)).toBe(429);
  });

  test("are counted from where no address is known, such as a Unix socket", () => {
    const { from, spend } = scene();
    spend(undefined);
    expect(from(undefined, TOKEN)).toBe(429);
    expect(from(OPERATOR, TOKEN)).toBe(200);
  });

  test("include other schemes, but not requests without a token", () => {
    const { guard, from } = scene({ failedTokensPerMinute: 1 });
    for (let sent = 0; sent < 50; sent += 1) expect(from(ATTACKER)).toBe(401);
    const basic = {
      ...requestOf(ATTACKER),
      headers: { host: "localhost", authorization: "Basic" },
    };
    expect(guard.refuse(basic)?.status).toBe(401);
    expect(guard.refuse(basic)?.status).toBe(429);
    expect(from(ATTACKER)).toBe(401);
  });

  test("sent by a page of another site do not use up the operator's", () => {
    const { guard, from } = scene({ failedTokensPerMinute: 1 });
    const { headers, ...rest } = requestOf(OPERATOR, "wrong");
    for (let sent = 0; sent < 5; sent += 1) {
      const crossSite = { ...headers, "sec-fetch-site": "cross-site" } as const;
      expect(guard.refuse({ ...rest, headers: crossSite })?.status).toBe(403);
    }
    expect(from(OPERATOR, TOKEN)).toBe(200);
  });

  test("of more addresses than are kept forget guessers, and never one that is known", () => {
    const { from, spend } = scene({ maxAddresses: 3, failedTokensPerMinute: 1 });
    expect(from(OPERATOR, TOKEN)).toBe(200);
    for (const last of [1, 2, 3, 4]) spend(`203.0.113.${last}`, 1);
    expect(from("203.0.113.1", "wrong")).toBe(401);
    expect(from("203.0.113.4", "wrong")).toBe(429);
    spend(OPERATOR);
    expect(from(OPERATOR, TOKEN)).toBe(200);
  });

  test("are forgotten from the 10,001st address on, and so are known addresses", () => {
    const many = scene({ failedTokensPerMinute: 1 });
    for (let last = 0; last < 10_001; last += 1) many.spend(`address-${last}`, 1);
    expect(many.from("address-1", "wrong")).toBe(429);
    expect(many.from("address-0", "wrong")).toBe(401);
    const { from, spend } = scene({ maxAddresses: 1 });
    expect(from(OPERATOR, TOKEN)).toBe(200);
    expect(from("198.51.100.5", TOKEN)).toBe(200);
    spend(OPERATOR);
    expect(from(OPERATOR, TOKEN)).toBe(429);
  });

  test("of one IPv6 network count together", () => {
    const { from, spend } = scene({ failedTokensPerMinute: 2 });
    spend("2001:db8:1:2::1", 1);
    spend("2001:db8:1:2:ffff::1", 1);
    expect(from("2001:db8:1:2:9:9:9:9", TOKEN)).toBe(429);
    expect(from("2001:db8:1:3::1", TOKEN)).toBe(200);
  });

  test("are never compared more often than the limit allows in each minute, whatever comes", () => {
    const step = fc.oneof(
      fc.record({ waitMs: fc.integer({ min: 0, max: 40_000 }) }),
      fc.record({ address: fc.constantFrom("a", "b") }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 5 }),
        (steps, max) => {
          const { from, pass } = scene({ failedTokensPerMinute: max });
          const tried: { address: string; atMs: number }[] = [];
          let atMs = 0;
          for (const one of steps) {
            if ("waitMs" in one) {
              pass(one.waitMs);
              atMs += one.waitMs;
              continue;
            }
            const { address } = one;
            if (from(address, "wrong") === 401) tried.push({ address, atMs });
            // Windows begin with the first wrong token, so that a minute touches two of them.
            const recent = tried.filter(
              (each) => each.address === address && atMs - each.atMs < 60_000,
            );
            expect(recent.length).toBeLessThanOrEqual(2 * max);
          }
        },
      ),
    );
  });
});

describe("wrong tokens over the wire", () => {
  test("get Retry-After and no word on the token", async () => {
    const metrics = new Metrics({ runtime: false });
    const guard = { token: TOKEN, failedTokensPerMinute: 2, now: () => 0 };
    await using listener = await listen({ "/metrics": metrics.handler({ guard }) });
    onTestFinished(() => metrics.close());
    const get = (token: string) =>
      ask(listener.port, "/metrics", { headers: { authorization: `Bearer ${token}` } });
    expect((await get("wrong")).status).toBe(401);
    expect((await get("wrong")).status).toBe(401);
    const answer = await get(TOKEN);
    expect(answer.status).toBe(429);
    expect(answer.headers["retry-after"]).toBe("60");
    expect(answer.headers["www-authenticate"]).toBeUndefined();
    expect(answer.body).not.toContain(TOKEN);
  });

  test("count by the address of the connection, whatever headers say", async () => {
    const guard = guardEndpoint({ token: TOKEN, failedTokensPerMinute: 1, now: () => 0 });
    const server = createServer((request, response) => {
      response.statusCode = guard.refuse(request)?.status ?? 200;
      response.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const get = async (localAddress: string, forwarded: string, token: string) => {
      const socket = connect({ port, host: "127.0.0.1", localAddress });
      const headers = `Host: localhost\r\nX-Forwarded-For: ${forwarded}\r\nForwarded: for=${forwarded}`;
      socket.write(
        `GET / HTTP/1.1\r\n${headers}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
      );
      const chunks = await socket.toArray();
      return Number(/^HTTP\/1\.1 (\d+)/.exec(Buffer.concat(chunks as Buffer[]).toString())?.[1]);
    };
    expect(await get("127.0.0.1", "192.0.2.1", "wrong")).toBe(401);
    expect(await get("127.0.0.1", "192.0.2.2", TOKEN)).toBe(429);
    expect(await get("127.0.0.2", "192.0.2.1", TOKEN)).toBe(200);
  });

  test("share one count between reading and acting with one token, by the clock of the dashboard", async () => {
    const { send, stats, ran, pass } = await board({
      guard: { token: TOKEN, failedTokensPerMinute: 2 },
    });
    expect(await send("/api/history", "wrong")).toBe(401);
    expect(await send("/api/actions/go", "wrong")).toBe(401);
    expect(await send("/api/history", TOKEN)).toBe(429);
    expect(await send("/api/actions/go", TOKEN)).toBe(429);
    expect(ran()).toBe(0);
    expect(stats().refused).toEqual({ token: 2, token_rate: 2 });
    pass(60_000);
    expect(await send("/api/actions/go", TOKEN)).toBe(200);
    expect(ran()).toBe(1);
  });

  test("are limited for the token of actions too, with the limits of the guard", async () => {
    const { send, ran, pass } = await board({
      guard: { failedTokensPerMinute: 1 },
      actionToken: OTHER_TOKEN,
    });
    expect(await send("/api/actions/go", "wrong")).toBe(401);
    expect(await send("/api/actions/go", OTHER_TOKEN)).toBe(429);
    expect(await send("/api/history", "any")).toBe(200);
    expect(ran()).toBe(0);
    pass(60_000);
    expect(await send("/api/actions/go", OTHER_TOKEN)).toBe(200);
  });
});

describe("a dashboard without actions and tokens", () => {
  test("refuses every action", async () => {
    using metrics = new Metrics({ runtime: false });
    using made = dashboard(metrics);
    await using listener = await listen({ "/": made.handler });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const answer = await ask(listener.port, "/api/actions/go", { method: "POST", headers });
    expect(answer.status).toBe(401);
  });
});

describe("limits of wrong tokens", () => {
  test.each([
    [{ failedTokensPerMinute: 0 }, "guard.failedTokensPerMinute"],
    [{ failedTokensPerMinute: 601 }, "guard.failedTokensPerMinute"],
    [{ failedTokensPerMinute: "5" }, "guard.failedTokensPerMinute"],
    [{ maxAddresses: 0 }, "guard.maxAddresses"],
    [{ maxAddresses: 100_001 }, "guard.maxAddresses"],
    [{ maxAddresses: 1.5 }, "guard.maxAddresses"],
    [{ now: 5 }, "guard.now"],
  ])("%j is refused", (limits, option) => {
    const make = () => guardEndpoint({ token: TOKEN, ...limits } as never);
    expect(make).toThrow(expect.objectContaining({ code: "METRICS_INVALID_OPTION", option }));
  });

  test.each([null, "localhost", 5])("a dashboard with the guard %j is refused", (guard) => {
    using metrics = new Metrics({ runtime: false });
    const make = () => dashboard(metrics, { guard } as never);
    expect(make).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "guard" }),
    );
  });
});

describe("addresses", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
    ["::a:b:c:d:e", "0:0:0:a::/64"],
    ["fe80::1:2%eth0", "fe80:0:0:0::/64"],
    [undefined, ""],
    ["no address", "no address"],
  ])("%s is the caller %s", (address, caller) => {
    expect(callerOf(address)).toBe(caller);
  });

  test("a table holds the addresses that were set last, and never more than its limit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 })),
        fc.integer({ min: 1, max: 5 }),
        (set, max) => {
          const table = new AddressTable<number>(max);
          for (const [index, address] of set.entries()) {
            table.set(String(address), index);
            expect(table.size).toBeLessThanOrEqual(max);
          }
          const latest = [...new Set(set.toReversed())].slice(0, max);
          expect(table.size).toBe(latest.length);
          for (const address of latest)
            expect(table.get(String(address))).toBe(set.lastIndexOf(address));
        },
      ),
    );
  });
});
