import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import { ConnectionPool, PoolAgent, publicAddressesOnly, UpstreamGroup } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { mcpFetch } from "../src/mcp.ts";
import { driven, FakeTime, turn } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const SECRET = "s3cr3t";
const EVENTS = [
  "open",
  "close",
  "connectError",
  "request",
  "wait",
  "replay",
  "healthCheck",
  "leak",
] as const;
const GROUP_EVENTS = ["eject", "readmit", "health", "circuit", "panic", "retry", "hedge"] as const;
type Source = PoolAgent | ConnectionPool | UpstreamGroup;
/** Everywhere a secret may be on its way in. */
const init = {
  method: "POST",
  headers: {
    authorization: `Bearer ${SECRET}`,
    cookie: `session=${SECRET}`,
    "proxy-authorization": SECRET,
    "x-api-key": SECRET,
  },
  body: JSON.stringify({ password: SECRET }),
};

/** All that an agent or pool gives out: events, errors with their causes, statistics, metrics, warnings. */
class Emitted {
  readonly all: unknown[] = [];
  readonly seen = new Set<string>();

  watch(from: Source, events: readonly string[] = EVENTS): void {
    for (const event of events) {
      from.on(event, (value: unknown) => {
        this.seen.add(event);
        this.all.push(value);
      });
    }
  }

  async error(promise: Promise<unknown>): Promise<void> {
    this.all.push(await rejection(promise));
  }

  snapshot(from: Source): void {
    this.all.push(from, from.stats());
    for (const family of from.metricFamilies())
      this.all.push(family.type === "histogram" ? family : family.read());
  }

  text(): string {
    return this.all.map(everything).join("\n");
  }
}

/** Also what `JSON.stringify` and a logger that walks the properties would show. */
function everything(value: unknown): string {
  const deep = inspect(value, { depth: 12, showHidden: true, getters: true, maxArrayLength: null });
  const cause = value instanceof Error && value.cause !== undefined ? everything(value.cause) : "";
  return `${deep}\n${JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}` : inner)) ?? ""}\n${cause}`;
}

function handler(path: string): "reset" | "garbage" | "redirect" | "long" | "ok" {
  return (/^\/(reset|garbage|redirect|long)/.exec(path)?.[1] ?? "ok") as "ok";
}

async function start(): Promise<TestServer> {
  const server = await new TestServer((request, response) => {
    request.resume();
    const kind = handler(request.url ?? "");
    if (kind === "reset") request.socket.resetAndDestroy();
    else if (kind === "garbage") request.socket.end(`set-cookie: ${SECRET}\r\n\r\n`);
    else if (kind === "redirect")
      response.writeHead(302, { location: `ftp://user:${SECRET}@host/?token=${SECRET}` }).end();
    else response.end(kind === "long" ? Buffer.alloc(10_000_000) : "ok");
  }).start();
  return server;
}

test("nothing that is emitted holds credentials, cookies, bodies or a query", async () => {
  const time = new FakeTime();
  await using server = await start();
  const down = await new TestServer().start();
  await down.stop();
  const emitted = new Emitted();
  const warn = vi.spyOn(process, "emitWarning").mockImplementation((warning) => {
    emitted.all.push(warning);
  });
  const options: ConnectionPoolOptions = {
    maxConnections: 1,
    queueLimit: 2,
    healthCheckPath: `/health?key=${SECRET}`,
    keepAlivePath: `/alive?key=${SECRET}`,
    leakStackRatio: 1,
    tls: { passphrase: SECRET },
    now: time.now,
    schedule: time.schedule,
  };
  const agent = new PoolAgent({ pool: options });
  const pool = new ConnectionPool(server.origin, options);
  emitted.watch(agent);
  emitted.watch(pool);
  const url = (path: string): string => `${server.origin}${path}?token=${SECRET}`;

  await text(pool.fetch(url("/"), init));
  await emitted.error(pool.fetch(url("/reset"), init));
  await emitted.error(pool.fetch(url("/reset"), { headers: init.headers }));
  await text(pool.fetch(url("/"), init));
  await emitted.error(pool.fetch(url("/reset"), { headers: init.headers }));
  await emitted.error(pool.fetch(url("/garbage"), init));
  await emitted.error(pool.fetch(url("/redirect"), { headers: init.headers }));
  await emitted.error(pool.fetch(url("/"), { ...init, redirect: "error", method: "GET" }));
  await emitted.error(agent.fetch(`${down.origin}/?token=${SECRET}`, init));
  await emitted.error(agent.fetch(`http://user:${SECRET}@127.0.0.1/`));
  await emitted.error(agent.fetch(`http:/\\${SECRET}:99999/`));
  await emitted.error(pool.fetch(`http://other.test/${SECRET}`));
  await emitted.error(pool.fetch(url("/"), { headers: { [`x\r\n${SECRET}`]: "1" } }));
  await emitted.error(pool.fetch(url("/"), { headers: { "x-key": `${SECRET}\r\nx: 1` } }));
  await emitted.error(pool.fetch(url("/"), { method: `${SECRET}\r\n` }));
  for (const wrong of [
    () => new ConnectionPool(`http://user:${SECRET}@localhost`),
    () => new ConnectionPool(`http://localhost/${SECRET}`),
    () => new ConnectionPool("http://localhost", { healthCheckPath: SECRET }),
    () => new ConnectionPool("http://localhost", { keepAlivePath: `?${SECRET}` }),
  ])
    await emitted.error(Promise.resolve().then(wrong));
  const guarded = new PoolAgent({ allowAddress: publicAddressesOnly });
  emitted.watch(guarded);
  await emitted.error(guarded.fetch(url("/"), init));
  await pool.healthCheck().then((result) => emitted.all.push(result));

  const unread = await pool.fetch(url("/long"), init);
  const [waiting, refused] = [pool.fetch(url("/"), init), pool.fetch(url("/"), init)];
  void waiting.catch(() => undefined);
  void refused.catch(() => undefined);
  await emitted.error(pool.fetch(url("/"), init));
  while (!emitted.seen.has("leak")) {
    time.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  time.advance(60_000);
  await emitted.error(unread.text());
  await emitted.error(waiting);
  await emitted.error(refused);
  await text(pool.fetch(url("/"), init));
  pool.on("request", () => {
    throw new Error("a listener's own");
  });
  await text(pool.fetch(url("/"), init));
  for (const source of [agent, pool, guarded]) emitted.snapshot(source);
  await Promise.all([agent.close(), pool.close(), guarded.close()]);
  await emitted.error(pool.fetch(url("/"), init));
  warn.mockRestore();

  expect([...emitted.seen].toSorted()).toEqual(EVENTS.toSorted());
  expect(emitted.all.length).toBeGreaterThan(60);
  expect(emitted.text()).not.toContain(SECRET);
});

/** Answers as it is told, and its probes too. */
class Replica {
  mode: "ok" | "fail" | "hang" | "reset" = "ok";
  readonly server = new TestServer((request, response) => {
    request.resume();
    if (this.mode === "ok") response.setHeader("mcp-session-id", SECRET).end("ok");
    else if (this.mode === "fail") response.writeHead(503, { "x-token": SECRET }).end(SECRET);
    else if (this.mode === "reset") request.socket.resetAndDestroy();
  });
}

test("nothing that a group emits does either, nor the name of a session", async () => {
  const time = new FakeTime();
  const replicas = [new Replica(), new Replica()];
  for (const { server } of replicas) await server.start();
  const group = new UpstreamGroup(
    replicas.map(({ server }) => server.origin),
    {
      balance: "round-robin",
      probe: { path: `/health?key=${SECRET}`, unhealthyThreshold: 1, jitter: 0 },
      outlier: { consecutiveFailures: 1, minHangMs: 0 },
      circuit: { consecutiveFailures: 3 },
      hedge: { delayMs: 10, budgetRatio: 1 },
      panicThreshold: 1,
      now: time.now,
      schedule: time.schedule,
      random: () => 0.5,
    },
  );
  const emitted = new Emitted();
  emitted.watch(group);
  emitted.watch(group, GROUP_EVENTS);
  const url = `${group.origin}/?token=${SECRET}`;
  const read = { headers: { ...init.headers, "mcp-session-id": SECRET } };
  const ask = (given: RequestInit): Promise<unknown> =>
    driven(time, text(group.fetch(url, given))).catch((error: unknown) => emitted.all.push(error));
  const asMode = async (...modes: Replica["mode"][]): Promise<void> => {
    for (const [index, mode] of modes.entries()) (replicas[index] as Replica).mode = mode;
    for (let count = 0; count < 4; count += 1) await ask({ headers: init.headers });
    // A silent upstream keeps what must not be sent twice.
    if (!modes.includes("hang")) await ask(init);
    // Each probe has the time to be answered.
    for (let waited = 0; waited < 20; waited += 1) {
      time.advance(500);
      for (let turns = 0; turns < 10; turns += 1) await turn();
    }
  };
  const mcp = mcpFetch(group);
  const body = JSON.stringify({ jsonrpc: "2.0", id: SECRET, method: "tools/list" });
  await driven(time, text(mcp(url, { ...init, ...read, body })));
  await asMode("ok", "hang");
  await asMode("ok", "fail");
  await asMode("fail", "fail");
  await asMode("reset", "reset");
  const gone = Array.from({ length: 5 }, () => ({ ...init, ...read, body }));
  for (const call of gone) await emitted.error(driven(time, mcp(url, call)));
  await asMode("ok", "ok");
  for (const { server } of replicas) await server.stop();
  await asMode("ok", "ok");
  emitted.snapshot(group);
  await group.close();
  await emitted.error(group.fetch(url, read));

  for (const event of GROUP_EVENTS) expect(emitted.seen).toContain(event);
  for (const code of ["HTTP_POOL_UPSTREAM_UNAVAILABLE", "HTTP_POOL_CIRCUIT_OPEN"])
    expect(emitted.text()).toContain(code);
  expect(emitted.text()).not.toContain(SECRET);
});
