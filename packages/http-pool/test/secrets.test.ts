import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import { ConnectionPool, PoolAgent, publicAddressesOnly } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
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

  watch(from: PoolAgent | ConnectionPool): void {
    for (const event of EVENTS) {
      from.on(event, (value: unknown) => {
        this.seen.add(event);
        this.all.push(value);
      });
    }
  }

  async error(promise: Promise<unknown>): Promise<void> {
    this.all.push(await rejection(promise));
  }

  snapshot(from: PoolAgent | ConnectionPool): void {
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
