import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import { TestServer } from "./helpers/test-server.ts";

type Step =
  | { readonly kind: "request"; readonly path: string; readonly method: string }
  | { readonly kind: "abort"; readonly path: string; readonly afterTurns: number }
  | { readonly kind: "resize"; readonly to: number }
  | { readonly kind: "settle" };

const path = fc.constantFrom("/", "/", "/", "/reset", "/half", "/close", "/long");
const requestStep = fc.record({
  kind: fc.constant("request" as const),
  path,
  method: fc.constantFrom("GET", "GET", "POST", "HEAD"),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  requestStep,
  requestStep,
  requestStep,
  fc.record({ kind: fc.constant("abort" as const), path, afterTurns: fc.nat(6) }),
  fc.record({ kind: fc.constant("resize" as const), to: fc.integer({ min: 1, max: 6 }) }),
  fc.constant({ kind: "settle" as const }),
);

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
}

test("whatever happens, every request ends, every slot comes back and the counts add up", async () => {
  await using server = await new TestServer((request, response) => {
    request.resume();
    if (request.url === "/reset") request.socket.resetAndDestroy();
    else if (request.url === "/half") {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => request.socket.destroy());
    } else if (request.url === "/close") response.setHeader("connection", "close").end("ok");
    else response.end(request.url === "/long" ? Buffer.alloc(300_000) : "ok");
  }).start();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      const before = { sockets: server.sockets };
      const pool = new ConnectionPool(server.origin, { maxConnections: 3, queueLimit: 100 });
      const ends: Promise<unknown>[] = [];
      const send = (to: string, method: string, signal?: AbortSignal): void => {
        const init = { method, ...(signal && { signal }), ...(method === "POST" && { body: "x" }) };
        const sent = pool.fetch(server.origin + to, init).then((response) => response.text());
        ends.push(sent.catch(() => undefined));
      };
      for (const current of steps) {
        if (current.kind === "request") send(current.path, current.method);
        else if (current.kind === "resize") pool.resize(current.to);
        else if (current.kind === "settle") await Promise.all(ends);
        else {
          const controller = new AbortController();
          send(current.path, "GET", controller.signal);
          await turns(current.afterTurns);
          controller.abort();
        }
        const { active, idle, open } = pool.stats();
        expect(active).toBeGreaterThanOrEqual(0);
        expect(active + idle).toBeLessThanOrEqual(open);
        expect(open).toBeLessThanOrEqual(6);
      }
      await Promise.all(ends);
      await pool.drain();
      const probe = await pool.fetch(server.origin);
      expect(await probe.text()).toBe("ok");
      const stats = pool.stats();
      expect(stats).toMatchObject({ waiting: 0, connecting: 0, rejected: 0, queueTimeouts: 0 });
      await pool.close();
      const { created, closed, open, requests, reused } = pool.stats();
      expect(open).toBe(0);
      expect(Object.values(closed).reduce((sum, count) => sum + count, 0)).toBe(created);
      expect(requests - reused).toBeLessThanOrEqual(created);
      await server.accepted(before.sockets + created);
      expect(server.sockets - before.sockets).toBe(created);
    }),
    { numRuns: 40 },
  );
});
