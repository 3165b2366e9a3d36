import { expect, test } from "vitest";
import {
  ConnectionPool,
  HttpPoolError,
  InvalidArgumentError,
  PoolAgent,
  PoolExhaustedError,
  UpstreamGroup,
} from "../src/index.ts";
import type { AnyHttpPoolError, ConnectionPoolOptions } from "../src/index.ts";
import { mcpFetch } from "../src/mcp.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection } from "./helpers/outcome.ts";

const WRONG: readonly [string, unknown][] = [
  ["maxConnections", 0],
  ["maxConnections", 1.5],
  ["maxConnections", "8"],
  ["maxConnections", Number.NaN],
  ["minIdle", -1],
  ["minIdle", 65],
  ["maxIdle", -1],
  ["maxIdleTimeMs", 0],
  ["maxLifetimeMs", Number.POSITIVE_INFINITY],
  ["lifetimeJitter", 1.1],
  ["lifetimeJitter", -0.1],
  ["queueLimit", -1],
  ["queueTimeoutMs", 0],
  ["queueTimeoutMs", 2 ** 31],
  ["connectTimeoutMs", -5],
  ["headersTimeoutMs", -1],
  ["headersTimeoutMs", 0.5],
  ["bodyTimeoutMs", 2 ** 31],
  ["keepAliveTimeoutMs", "1s"],
  ["maxStreams", -1],
  ["healthCheckPath", "health"],
  ["healthCheckPath", 5],
  ["healthCheckMethod", "HEAD"],
  ["healthCheckTimeoutMs", 0],
  ["allowAddress", true],
  ["lookup", "dns"],
  ["tls", "insecure"],
  ["allowH2", 1],
  ["keepAlivePath", "alive"],
  ["leakAfterMs", -1],
  ["leakStackRatio", 2],
  ["now", 5],
  ["random", {}],
  ["schedule", "later"],
];

test.each(WRONG)("%s: %j is refused, by pool and agent", (argument, value) => {
  const options = { [argument]: value } as ConnectionPoolOptions;
  for (const create of [
    () => new ConnectionPool("http://localhost", options),
    () => new PoolAgent({ pool: options }),
  ]) {
    expect(create).toThrow(InvalidArgumentError);
    expect(create).toThrow(HttpPoolError);
    expect(create).toThrow(argument);
  }
});

test("what is wrong with the arguments of an agent is said", () => {
  expect(() => new PoolAgent({ maxOrigins: 0 })).toThrow("maxOrigins: expected an integer >= 1");
  expect(() => new PoolAgent({ maxRedirects: -1 })).toThrow("maxRedirects");
  expect(() => new PoolAgent({ allowAddress: 5 as never })).toThrow("allowAddress");
  expect(() => new ConnectionPool("http://localhost", null as never)).toThrow("options");
});

test.each([
  "localhost",
  "ftp://localhost",
  "http://user:secret@localhost",
  "http://:secret@localhost",
  "http://localhost/path",
  "http://localhost?secret",
  "http://localhost#secret",
  5,
  undefined,
])("%j is not an origin", (origin) => {
  const create = (): ConnectionPool => new ConnectionPool(origin as string);
  expect(create).toThrow(InvalidArgumentError);
  expect(create).not.toThrow("secret");
});

test("an origin is normalised, and may be a URL", () => {
  expect(new ConnectionPool("HTTP://LOCALHOST:80").upstream).toBe("http://localhost");
  expect(new ConnectionPool(new URL("https://localhost/")).upstream).toBe("https://localhost");
});

test("a pool that nobody uses has no timers", () => {
  const time = new FakeTime();
  const pool = new ConnectionPool("http://localhost", { now: time.now, schedule: time.schedule });
  expect(time.pending).toBe(0);
  expect(pool.busy).toBe(false);
});

test("resize and warmUp check their argument", async () => {
  const pool = new ConnectionPool("http://localhost", { maxConnections: 2 });
  expect(() => pool.resize(0)).toThrow("maxConnections: expected an integer >= 1, received 0");
  expect(await rejection(pool.warmUp(3))).toMatchObject({
    message: "count: expected an integer from 1 to 2, received 3",
  });
});

test.each([
  [{ a: 1 }, "received an object (Object)"],
  [() => 1, "received a function"],
  ["x".repeat(500), `received "${"x".repeat(80)}"`],
])("what came is described by its kind, and shortened", (value, description) => {
  const options = { maxConnections: value } as unknown as ConnectionPoolOptions;
  expect(() => new ConnectionPool("http://localhost", options)).toThrow(description);
});

/** The argument that is named. */
function refused(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return error instanceof InvalidArgumentError ? error.argument : String(error);
  }
  return "nothing";
}

test("a name that is no option is refused, and named", () => {
  const origin = "http://localhost";
  const group = (options: object): (() => unknown) => {
    return () => new UpstreamGroup([origin], options);
  };
  expect(refused(() => new ConnectionPool(origin, { maxConnection: 1 } as object))).toBe(
    "maxConnection",
  );
  expect(refused(() => new PoolAgent({ maxConnections: 1 } as object))).toBe("maxConnections");
  expect(refused(group({ zones: "a" }))).toBe("zones");
  expect(refused(group({ pool: { queue: 1 } }))).toBe("queue");
  expect(refused(group({ probe: { every: 1 } }))).toBe("probe.every");
  expect(refused(group({ outlier: { failures: 1 } }))).toBe("outlier.failures");
  expect(refused(group({ circuit: { failures: 1 } }))).toBe("circuit.failures");
  expect(refused(group({ retry: { attempts: 1 } }))).toBe("retry.attempts");
  expect(refused(group({ hedge: { delay: 1 } }))).toBe("hedge.delay");
  for (const name of ["hedge", "zone", "probe", "outlier", "circuit", "retry"])
    expect(refused(group({ [name]: 5 }))).toBe(name);
  expect(refused(() => new UpstreamGroup([{ origin, zone: 5 as never }]))).toBe("zone");
  expect(refused(() => new UpstreamGroup([{ origin, wieght: 5 } as never]))).toBe(
    "upstream.wieght",
  );
  expect(refused(() => mcpFetch(new PoolAgent(), { timeoutMs: 1 } as object))).toBe("timeoutMs");
});

test("what is of another kind than its option is refused, and named", () => {
  const origin = "http://localhost";
  const agent = new PoolAgent();
  const group = (options: object): (() => unknown) => {
    return () => new UpstreamGroup([origin], options);
  };
  for (const value of [null, 5, "origin", true]) {
    expect(refused(group({ pool: value }))).toBe("pool");
    expect(refused(() => new PoolAgent({ pool: value as never }))).toBe("pool");
    expect(refused(() => new PoolAgent(value as never))).toBe("options");
    expect(refused(() => new UpstreamGroup([origin], value as never))).toBe("options");
    expect(refused(() => mcpFetch(agent, value as never))).toBe("options");
    expect(refused(() => new UpstreamGroup([value as never]))).toBe("upstream");
    expect(refused(group({ retry: { statusCodes: value ?? 503 } }))).toBe("retry.statusCodes");
  }
  expect(refused(group({ hashFailover: "no" }))).toBe("hashFailover");
  expect(refused(group({ outlier: { successRate: 1 } }))).toBe("outlier.successRate");
});

test("a time-out that no timer can carry is refused at once, and not with each request", () => {
  const agent = new PoolAgent();
  for (const name of ["callTimeoutMs", "requestTimeoutMs"])
    expect(refused(() => mcpFetch(agent, { [name]: 2 ** 31 }))).toBe(name);
  expect(refused(() => mcpFetch(agent, { callTimeoutMs: 0, requestTimeoutMs: 0 }))).toBe("nothing");
});

test("an option that is undefined is one that was not given", () => {
  const pool = new ConnectionPool("http://localhost", { maxConnections: undefined });
  expect(pool.stats().maxConnections).toBe(64);
  const options = { probe: undefined, hedge: undefined, pool: { lookup: undefined } };
  expect(new UpstreamGroup(["http://localhost"], options).stats().usable).toBe(1);
});

function retryAfterMs(error: AnyHttpPoolError): number {
  switch (error.code) {
    case "HTTP_POOL_EXHAUSTED":
    case "HTTP_POOL_QUEUE_TIMEOUT":
      return error.retryAfterMs;
    default:
      return 0;
  }
}

test("a code tells which error it is, to TypeScript too", () => {
  expect(retryAfterMs(new PoolExhaustedError("http://localhost", "full", 5))).toBe(5);
  expect(retryAfterMs(new InvalidArgumentError("a", "b", "c"))).toBe(0);
});
