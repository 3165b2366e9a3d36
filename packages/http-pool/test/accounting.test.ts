import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { CloseEvent, RequestEvent } from "../src/index.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

/** What the server itself saw: how many requests each of its sockets carried. */
class Ledger {
  readonly #bySocket = new Map<object, number>();

  count(socket: object): number {
    const count = (this.#bySocket.get(socket) ?? 0) + 1;
    this.#bySocket.set(socket, count);
    return count;
  }

  get connections(): number {
    return this.#bySocket.size;
  }

  get requests(): number {
    return [...this.#bySocket.values()].reduce((sum, count) => sum + count, 0);
  }

  get reused(): number {
    return this.requests - this.connections;
  }

  get perConnection(): number[] {
    return [...this.#bySocket.values()].toSorted((a, b) => a - b);
  }
}

async function start(): Promise<{ server: TestServer; ledger: Ledger; arrived: Arrivals }> {
  const ledger = new Ledger();
  const arrived = new Arrivals();
  const server = await new TestServer((request, response) => {
    const nth = ledger.count(request.socket);
    request.resume();
    const path = request.url ?? "";
    // A used connection that dies when it is asked again.
    if (path === "/stale" && nth > 1) request.socket.resetAndDestroy();
    else if (path === "/reset") request.socket.resetAndDestroy();
    else if (path === "/close") response.setHeader("connection", "close").end("ok");
    else if (path === "/half")
      response.writeHead(200, { "content-length": "9" }).write("x", () => request.socket.destroy());
    else if (path !== "/hold") response.end("ok");
    arrived.tell(path);
  }).start();
  return { server, ledger, arrived };
}

/** Tells when a request for a path has come. */
class Arrivals {
  readonly #waiting: { path: string; resolve: () => void }[] = [];

  tell(path: string): void {
    const index = this.#waiting.findIndex((waiting) => waiting.path === path);
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve();
  }

  next(path: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ path, resolve }));
  }
}

/** Sends it, and gives up once the server has it. */
async function abortOnArrival(pool: ConnectionPool, arrived: Arrivals): Promise<void> {
  const controller = new AbortController();
  const there = arrived.next("/hold");
  const failed = rejection(pool.fetch(`${pool.upstream}/hold`, { signal: controller.signal }));
  await there;
  controller.abort();
  await failed;
}

describe("the pool counts exactly what the server counts", () => {
  test("through aborts, replays, resets, closes and resizes", async () => {
    const { server, ledger, arrived } = await start();
    const pool = new ConnectionPool(server.origin, { maxConnections: 4 });
    const closes: CloseEvent[] = [];
    const requests: RequestEvent[] = [];
    pool.on("close", (event) => closes.push(event));
    pool.on("request", (event) => requests.push(event));
    const get = (path: string): Promise<string> => text(pool.fetch(server.origin + path));
    const post = (path: string): Promise<unknown> =>
      pool.fetch(server.origin + path, { method: "POST", body: "x" }).catch(() => undefined);
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 12 }, () => get("/")));
      await abortOnArrival(pool, arrived);
      pool.resize(1 + (round % 4));
      await get("/");
      await get("/stale");
      await get("/");
      await post("/stale");
      await rejection(get("/reset"));
      await get("/close");
      await rejection(get("/half"));
      await Promise.all([get("/"), abortOnArrival(pool, arrived), get("/close"), get("/")]);
    }
    const last = pool.stats();
    await pool.close();
    await server.idle();
    const { created, requests: sent, reused, reuseRatio, replays } = pool.stats();
    expect({ created, sent, reused }).toEqual({
      created: server.sockets,
      sent: server.requests,
      reused: ledger.reused,
    });
    expect(ledger.connections).toBe(server.sockets);
    expect(reuseRatio).toBe(ledger.reused / ledger.requests);
    expect(replays).toBeGreaterThanOrEqual(10);
    expect(last.waiting + last.active).toBe(0);
    // Per connection too, and what the events say is what the counts say.
    const told = closes.map((event) => event.requests).toSorted((a, b) => a - b);
    expect(told).toEqual(ledger.perConnection);
    expect(requests).toHaveLength(sent - replays);
  });

  test("under steady load at least 99.9 % of the requests use a used connection", async () => {
    const { server, ledger } = await start();
    const pool = new ConnectionPool(server.origin, { maxConnections: 4 });
    const worker = async (): Promise<void> => {
      for (let count = 0; count < 1000; count += 1) await text(pool.fetch(server.origin));
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    const { requests, reused, reuseRatio } = pool.stats();
    expect({ requests, reused }).toEqual({ requests: 4000, reused: ledger.reused });
    expect(reuseRatio).toBeGreaterThanOrEqual(0.999);
    await pool.close();
    await server.stop();
  });
});

describe("a burst and the quiet after it", () => {
  test("ten thousand requests at once leave maxIdle connections and no memory in use", async () => {
    const { server, ledger } = await start();
    const pool = new ConnectionPool(server.origin, {
      maxConnections: 50,
      maxIdle: 5,
      queueLimit: 10_000,
      queueTimeoutMs: 60_000,
    });
    const burst = async (): Promise<void> => {
      const sent = Array.from({ length: 10_000 }, () => text(pool.fetch(server.origin)));
      expect(pool.stats().waiting).toBeGreaterThanOrEqual(9950);
      const answers = await Promise.all(sent);
      expect(answers.every((answer) => answer === "ok")).toBe(true);
    };
    await burst();
    const afterFirst = await heapBytes();
    await burst();
    const afterSecond = await heapBytes();
    const evicted = pool.stats().open - 5;
    if (evicted > 0) await times(pool, "close", evicted);
    expect(pool.stats()).toMatchObject({
      open: 5,
      idle: 5,
      active: 0,
      waiting: 0,
      requests: 20_000,
      failed: 0,
    });
    expect(server.peak).toBeLessThanOrEqual(50);
    expect(ledger.requests).toBe(20_000);
    // The second burst leaves nothing that the first has not left; a request that stayed would be some KB.
    expect((afterSecond - afterFirst) / 10_000).toBeLessThan(200);
    await pool.close();
    await server.stop();
  });
});

async function heapBytes(): Promise<number> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 4; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}
