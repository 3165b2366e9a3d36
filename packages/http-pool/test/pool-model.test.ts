import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import type { Dispatcher } from "undici";
import { expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { PoolStats } from "../src/index.ts";
import { TestServer } from "./helpers/test-server.ts";

type Step =
  | { readonly kind: "request"; readonly path: string; readonly method: string }
  | { readonly kind: "upload"; readonly ends: boolean }
  | { readonly kind: "abort"; readonly path: string; readonly afterTurns: number }
  | { readonly kind: "stream"; readonly afterTurns: number }
  | { readonly kind: "resize"; readonly to: number }
  | { readonly kind: "warmUp"; readonly count: number }
  | { readonly kind: "cut" }
  | { readonly kind: "check" }
  | { readonly kind: "settle" };

type End = "close" | "destroy" | "drain";

const LIMIT = 6;
const path = fc.constantFrom("/", "/", "/", "/reset", "/half", "/close", "/long", "/garbage");
const requestStep = fc.record({
  kind: fc.constant("request" as const),
  path,
  method: fc.constantFrom("GET", "GET", "POST", "HEAD", "PUT"),
});
const afterTurns = fc.nat(6);
const size = fc.integer({ min: 1, max: LIMIT });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: requestStep },
  fc.record({ kind: fc.constant("upload" as const), ends: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), path, afterTurns }) },
  fc.record({ kind: fc.constant("stream" as const), afterTurns }),
  fc.record({ kind: fc.constant("resize" as const), to: size }),
  fc.record({ kind: fc.constant("warmUp" as const), count: size }),
  fc.constantFrom<Step>({ kind: "cut" }, { kind: "check" }, { kind: "settle" }),
);
const run = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  queueLimit: fc.constantFrom(0, 2, 100),
  end: fc.constantFrom<End>("close", "destroy", "drain"),
});

/** How often each request arrived. */
class Executions {
  readonly #times = new Map<string, number>();

  add(id: string): void {
    this.#times.set(id, this.of(id) + 1);
  }

  of(id: string): number {
    return this.#times.get(id) ?? 0;
  }
}

/** One request, and how often its end was told. */
interface Sent {
  readonly id: string;
  readonly repeatable: boolean;
  ends: number;
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
}

async function* upload(ends: boolean): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a");
  await turns(1);
  if (!ends) throw new Error("half-way");
  yield Buffer.from("b");
}

async function startServer(executions: Executions): Promise<TestServer> {
  return new TestServer((request, response) => {
    executions.add(String(request.headers["x-id"]));
    request.on("error", () => undefined).resume();
    if (request.url === "/reset") request.socket.resetAndDestroy();
    else if (request.url === "/garbage") request.socket.end("not http\r\n\r\n");
    else if (request.url === "/half") {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => request.socket.destroy());
    } else if (request.url === "/close") response.setHeader("connection", "close").end("ok");
    else if (request.url === "/stream") {
      response.setHeader("content-type", "text/event-stream");
      response.write("data: 1\n\n");
    } else response.end(request.url === "/long" ? Buffer.alloc(300_000) : "ok");
  }).start();
}

class Model {
  readonly pool: ConnectionPool;
  readonly sent: Sent[] = [];
  readonly #server: TestServer;
  readonly #ended: Promise<void>[] = [];
  #max = 3;
  peakAllowed = 3;

  constructor(server: TestServer, queueLimit: number) {
    this.#server = server;
    this.pool = new ConnectionPool(server.origin, { maxConnections: 3, queueLimit });
  }

  async apply(current: Step): Promise<void> {
    const signal = new AbortController();
    if (current.kind === "request") this.#send(current.path, current.method, {});
    else if (current.kind === "upload")
      this.#send("/", "POST", { body: upload(current.ends) as never });
    else if (current.kind === "resize") this.#resize(current.to);
    else if (current.kind === "cut") for (const socket of this.#server.open) socket.destroy();
    else if (current.kind === "check") this.#track(this.pool.healthCheck());
    else if (current.kind === "warmUp")
      this.#track(this.pool.warmUp(Math.min(current.count, this.#max)));
    else if (current.kind === "settle") await this.settled();
    else {
      const lane = current.kind === "stream" ? "stream" : "request";
      const to = current.kind === "stream" ? "/stream" : current.path;
      this.#send(to, "GET", { lane }, signal.signal);
      await turns(current.afterTurns);
      signal.abort(new Error("aborted by the model"));
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#ended);
  }

  #resize(to: number): void {
    this.#max = to;
    this.peakAllowed = Math.max(this.peakAllowed, to);
    this.pool.resize(to);
  }

  #track(ended: Promise<unknown>): void {
    this.#ended.push(ended.then(() => undefined).catch(() => undefined));
  }

  #send(to: string, method: string, more: object, signal?: AbortSignal): void {
    const id = randomUUID();
    const repeatable = method !== "POST";
    const sent: Sent = { id, repeatable, ends: 0 };
    this.sent.push(sent);
    const body = method === "POST" || method === "PUT" ? "x" : null;
    const options = { path: to, method, headers: { "x-id": id }, body, ...more };
    this.#ended.push(
      new Promise((resolve) => {
        const end = (): void => {
          sent.ends += 1;
          signal?.removeEventListener("abort", abort);
          resolve();
        };
        let controller: Dispatcher.DispatchController | undefined;
        const abort = (): void => controller?.abort(new Error("aborted"));
        signal?.addEventListener("abort", abort);
        this.pool.dispatch(options, {
          onRequestStart: (given) => (controller = given),
          onResponseEnd: end,
          onResponseError: end,
        });
      }),
    );
  }
}

function expectSane(stats: PoolStats, peakAllowed: number): void {
  const { active, idle, open, streams, waiting, connecting, maxConnections } = stats;
  expect(active).toBeGreaterThanOrEqual(0);
  expect(active + idle).toBeLessThanOrEqual(open);
  expect(open - streams).toBeLessThanOrEqual(peakAllowed);
  expect(connecting).toBeLessThanOrEqual(peakAllowed);
  // Nobody waits while a connection could be had, beyond those that are being opened.
  expect(waiting > 0 && idle > 0).toBe(false);
  expect(maxConnections).toBeGreaterThanOrEqual(1);
}

/** A pool that has come to rest serves at once; `ends` is 0 when it does not. */
async function served(pool: ConnectionPool): Promise<Sent> {
  const id = randomUUID();
  const response = await pool.fetch(pool.upstream, { headers: { "x-id": id } });
  return { id, repeatable: true, ends: (await response.text()) === "ok" ? 1 : 0 };
}

async function expectAddedUp(
  model: Model,
  server: TestServer,
  before: { sockets: number; requests: number },
): Promise<void> {
  const stats = model.pool.stats();
  const { created, closed, requests, reused, failed, aborted, replays } = stats;
  expect(stats).toMatchObject({
    open: 0,
    idle: 0,
    active: 0,
    waiting: 0,
    connecting: 0,
    streams: 0,
  });
  expect(Object.values(closed).reduce((sum, count) => sum + count, 0)).toBe(created);
  expect(requests - reused).toBeLessThanOrEqual(created);
  await server.accepted(before.sockets + created);
  await server.idle();
  // Those given up while they connect are known to the server only.
  expect(server.sockets - before.sockets).toBeGreaterThanOrEqual(created);
  const arrived = server.requests - before.requests;
  // What did not arrive was aborted, failed or was sent again.
  expect(arrived).toBeLessThanOrEqual(requests);
  expect(requests - arrived).toBeLessThanOrEqual(failed + aborted + replays);
}

test("whatever happens, every request ends once, nothing runs twice that must not, every slot comes back, and the counts add up", async () => {
  const executions = new Executions();
  await using server = await startServer(executions);
  await fc.assert(
    fc.asyncProperty(run, async ({ steps, queueLimit, end }) => {
      const before = { sockets: server.sockets, requests: server.requests };
      const model = new Model(server, queueLimit);
      const { pool } = model;
      for (const current of steps) {
        await model.apply(current);
        expectSane(pool.stats(), model.peakAllowed);
      }
      if (end === "drain") {
        await pool.drain();
        await model.settled();
        model.sent.push(await served(pool));
      }
      await (end === "destroy" ? pool.destroy() : pool.close());
      await model.settled();
      for (const { id, repeatable, ends } of model.sent) {
        expect(ends).toBe(1);
        expect(executions.of(id)).toBeLessThanOrEqual(repeatable ? 2 : 1);
      }
      await expectAddedUp(model, server, before);
    }),
    { numRuns: 300 },
  );
});
