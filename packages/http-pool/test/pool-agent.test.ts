import { describe, expect, test } from "vitest";
import { fetch as undiciFetch } from "undici";
import { PoolAgent, PoolClosedError, PoolExhaustedError } from "../src/index.ts";
import type { OpenEvent } from "../src/index.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

async function startServers(count: number): Promise<TestServer[]> {
  return Promise.all(Array.from({ length: count }, () => new TestServer().start()));
}

async function stopServers(servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

describe("many origins", () => {
  test("each has its own connections, which are reused", async () => {
    const servers = await startServers(3);
    await using agent = new PoolAgent();
    for (let round = 0; round < 3; round += 1)
      await Promise.all(servers.map(({ origin }) => text(agent.fetch(`${origin}/${round}`))));
    for (const server of servers) expect(server).toMatchObject({ sockets: 1, requests: 3 });
    const stats = agent.stats();
    expect(stats).toMatchObject({ origins: 3, created: 3, requests: 9, reused: 6 });
    expect(Object.keys(stats.upstreams)).toEqual(servers.map(({ origin }) => origin));
    expect(stats.upstreams[servers[0]?.origin ?? ""]).toMatchObject({ created: 1, requests: 3 });
    await stopServers(servers);
  });

  test("the origin unused longest gives way, and its counts remain", async () => {
    const servers = await startServers(3);
    await using agent = new PoolAgent({ maxOrigins: 2 });
    const [a, b, c] = servers.map(({ origin }) => origin) as [string, string, string];
    for (const origin of [a, b, a]) await text(agent.fetch(origin));
    const closed = times(agent, "close", 1);
    await text(agent.fetch(c));
    await closed;
    expect(servers.map(({ sockets }) => sockets)).toEqual([1, 1, 1]);
    await text(agent.fetch(a));
    expect(servers[0]?.sockets).toBe(1);
    const stats = agent.stats();
    expect(stats).toMatchObject({ origins: 2, created: 3, requests: 5, open: 2 });
    expect(stats.upstreams[b]).toMatchObject({ requests: 1, open: 0, closed: { shutdown: 1 } });
    // Only the first maxOrigins origins have statistics of their own.
    expect(Object.keys(stats.upstreams).toSorted()).toEqual([a, b, "_OTHER"].toSorted());
    await text(agent.fetch(b));
    expect(agent.stats().upstreams[b]).toMatchObject({ requests: 2 });
    await stopServers(servers);
  });

  test("an origin in use does not give way", async () => {
    const held = new HeldAnswers();
    await using busy = await new TestServer(held.handler).start();
    await using other = await new TestServer().start();
    await using agent = new PoolAgent({ maxOrigins: 1 });
    const running = text(agent.fetch(busy.origin));
    await held.until(1);
    const error = await rejection(agent.fetch(other.origin));
    expect(error).toBeInstanceOf(PoolExhaustedError);
    expect(error).toMatchObject({ upstream: other.origin });
    held.release();
    expect(await running).toBe("ok");
    expect(await text(agent.fetch(other.origin))).toBe("ok");
  });

  test("origins are the same however they are written", async () => {
    await using server = await new TestServer().start();
    await using agent = new PoolAgent();
    const { port } = new URL(server.origin);
    await text(agent.fetch(`HTTP://127.0.0.1:${port}`));
    const { body } = await agent.request({
      origin: new URL(server.origin),
      path: "/",
      method: "GET",
    });
    await body.text();
    expect(server).toMatchObject({ sockets: 1, requests: 2 });
  });

  test("it is a dispatcher for fetch", async () => {
    await using server = await new TestServer().start();
    await using agent = new PoolAgent();
    expect(await text(fetch(server.origin, { dispatcher: agent } as object))).toBe("ok");
    const response = await undiciFetch(server.origin, { dispatcher: agent });
    expect(await response.text()).toBe("ok");
    expect(server.sockets).toBe(1);
  });

  test("a request without an origin, or with a wrong one, is told so", async () => {
    await using agent = new PoolAgent();
    for (const origin of [undefined, "nonsense", "http://user:secret@localhost", "file:///x"]) {
      const { promise, resolve } = Promise.withResolvers<Error>();
      const handler = {
        onRequestStart: () => undefined,
        onResponseError: (_controller: unknown, error: Error) => resolve(error),
      };
      agent.dispatch({ ...(origin && { origin }), path: "/", method: "GET" }, handler);
      const error = await promise;
      expect(error).toMatchObject({ code: "HTTP_POOL_INVALID_ARGUMENT", argument: "origin" });
      expect(error.message).not.toContain("secret");
    }
    expect(() => agent.dispatch({ path: "/", method: "GET" }, null as never)).toThrow("handler");
    expect(() =>
      agent.dispatch({ path: "/", method: "GET" }, { onRequestStart: () => undefined }),
    ).toThrow("origin");
  });
});

describe("events and end", () => {
  test("events of the pools are relayed while somebody listens", async () => {
    const servers = await startServers(2);
    await using agent = new PoolAgent();
    const [a, b] = servers.map(({ origin }) => origin) as [string, string];
    const opened: string[] = [];
    const listener = ({ upstream }: OpenEvent): void => {
      opened.push(upstream);
    };
    agent.once("open", listener);
    await text(agent.fetch(a));
    agent.on("open", listener);
    await text(agent.fetch(b));
    agent.off("open", listener);
    for (const server of servers) for (const socket of server.open) socket.destroy();
    await times(agent, "close", 2);
    await Promise.all([text(agent.fetch(a)), text(agent.fetch(b))]);
    expect(opened).toEqual([a, b]);
    await stopServers(servers);
  });

  test("drain of a pool is a drain of the agent", async () => {
    await using server = await new TestServer().start();
    await using agent = new PoolAgent({ pool: { maxConnections: 1 } });
    const drained = times(agent, "drain", 1);
    await Promise.all([text(agent.fetch(server.origin)), text(agent.fetch(server.origin))]);
    await drained;
    expect(agent.stats()).toMatchObject({ waiting: 0 });
  });

  test("close lets requests end, destroy does not, and neither takes new ones", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using other = await new TestServer().start();
    const closing = new PoolAgent();
    const ending = text(closing.fetch(server.origin));
    await held.until(1);
    const closed = closing.close();
    expect(await rejection(closing.fetch(server.origin))).toBeInstanceOf(PoolClosedError);
    expect(await rejection(closing.fetch(other.origin))).toBeInstanceOf(PoolClosedError);
    held.release();
    expect(await ending).toBe("ok");
    await closed;
    const destroyed = new PoolAgent();
    const failing = rejection(destroyed.fetch(server.origin));
    await held.until(1);
    await destroyed.destroy();
    expect(await failing).toBeInstanceOf(PoolClosedError);
    expect(destroyed.stats()).toMatchObject({ open: 0, failed: 1 });
  });
});
