import type { Dispatcher } from "undici";
import { Agent, interceptors, Pool, RetryAgent } from "undici";
import { expect, test } from "vitest";
import { ConnectionPool, PoolAgent, RETRY_ERROR_CODES, UpstreamGroup } from "../src/index.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const NOBODY = "http://127.0.0.1:9";

test("undici's retries try our connect errors again when they are told the codes", async () => {
  const retry = { maxRetries: 2, minTimeout: 1, errorCodes: [...RETRY_ERROR_CODES] };
  const request = { origin: NOBODY, path: "/", method: "GET" } as const;
  const pool = new ConnectionPool(NOBODY);
  await rejection(pool.compose(interceptors.retry(retry)).request(request));
  expect(pool.stats().connectErrors).toBe(3);
  const other = new ConnectionPool(NOBODY);
  await rejection(new RetryAgent(other, retry).request(request));
  expect(other.stats().connectErrors).toBe(3);
});

test("the codes hold those that undici retries by default", async () => {
  const source = await import("node:fs/promises").then(({ readFile }) =>
    readFile(new URL(import.meta.resolve("undici/lib/handler/retry-handler.js")), "utf8"),
  );
  const list = /errorCodes: errorCodes \?\? \[([^\]]+)\]/.exec(source)?.[1] ?? "";
  const codes = [...list.matchAll(/'(\w+)'/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(5);
  expect(RETRY_ERROR_CODES).toEqual(expect.arrayContaining(codes));
});

test("a pool is what undici's Agent takes from its factory", async () => {
  await using server = await new TestServer().start();
  const pools: ConnectionPool[] = [];
  const agent = new Agent({
    factory: (origin) => {
      const pool = new ConnectionPool(origin, { maxConnections: 1 });
      pools.push(pool);
      return pool;
    },
  });
  const seen: string[] = [];
  for (const event of ["connect", "disconnect", "drain"] as const)
    agent.on(event as "connect", (origin, targets) => {
      expect(targets).toEqual([agent, pools[0]]);
      seen.push(`${event} ${origin.origin}`);
    });
  const get = async (): Promise<string> =>
    (await agent.request({ origin: server.origin, path: "/", method: "GET" })).body.text();
  expect(await Promise.all([get(), get(), get()])).toEqual(["ok", "ok", "ok"]);
  expect(pools).toHaveLength(1);
  await agent.close();
  expect(pools[0]).toMatchObject({ closed: true, destroyed: false });
  for (const event of ["connect", "disconnect", "drain"])
    expect(seen).toContain(`${event} ${server.origin}`);
});

test("an agent and a group pass on undici's events of their pools, and themselves first", async () => {
  await using server = await new TestServer().start();
  for (const dispatcher of [new PoolAgent(), new UpstreamGroup([server.origin])]) {
    const connected: unknown[][] = [];
    dispatcher.on("connect", (origin: URL, targets: unknown[]) =>
      connected.push([origin.origin, targets.length, targets[0]]),
    );
    expect(await text(dispatcher.fetch(server.origin))).toBe("ok");
    expect(connected).toEqual([[server.origin, 2, dispatcher]]);
    await dispatcher.destroy();
    expect(dispatcher).toMatchObject({ closed: true, destroyed: true });
  }
});

test("a connection that cannot be opened is a connectionError, as undici's", async () => {
  const pools: Dispatcher[] = [new Pool(NOBODY), new ConnectionPool(NOBODY)];
  for (const pool of pools) {
    const failed = new Promise<unknown[]>((resolve) => {
      pool.on("connectionError", (...args: unknown[]) => resolve(args));
    });
    await rejection(pool.request({ origin: NOBODY, path: "/", method: "GET" }));
    const [origin, targets, error] = await failed;
    expect([String(origin), (targets as unknown[])[0]]).toEqual([`${NOBODY}/`, pool]);
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    await pool.destroy();
  }
});

test("an address that an interceptor chose is refused with a way out, and taken by an agent", async () => {
  await using server = await new TestServer().start();
  const origin = server.origin.replace("127.0.0.1", "localhost");
  const request = { origin, path: "/", method: "GET" } as const;
  const dns = interceptors.dns({ affinity: 4 });
  await using pool = new ConnectionPool(origin);
  const error = await rejection(pool.compose(dns).request(request));
  expect(error.message).toContain("option lookup");
  await using agent = new PoolAgent();
  const { body } = await agent.compose(dns).request(request);
  expect(await body.text()).toBe("ok");
});

test("the options of this package are typed where undici's are", async () => {
  await using server = await new TestServer().start();
  await using pool = new ConnectionPool(server.origin);
  const { body } = await pool.request({
    path: "/",
    method: "POST",
    idempotent: true,
    lane: "stream",
  });
  expect(await body.text()).toBe("ok");
  expect(pool.stats().idle).toBe(0);
});
