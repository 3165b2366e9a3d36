import { interceptors } from "undici";
import { describe, expect, test } from "vitest";
import { ConnectionPool, PoolAgent, UpstreamGroup } from "../src/index.ts";
import { times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

type Dispatch = ConnectionPool["dispatch"];

/** Counts what passes. */
function counter(): { readonly seen: string[]; readonly count: (dispatch: Dispatch) => Dispatch } {
  const seen: string[] = [];
  return {
    seen,
    count: (dispatch) => (options, handler) => {
      seen.push(options.path);
      return dispatch(options, handler);
    },
  };
}

const MAKERS = {
  ConnectionPool: (origin: string) => new ConnectionPool(origin),
  PoolAgent: () => new PoolAgent(),
  UpstreamGroup: (origin: string) => new UpstreamGroup([origin]),
};

describe.each(Object.entries(MAKERS))("a composed %s", (_name, make) => {
  test("is what it was, with an interceptor before it", async () => {
    await using server = await new TestServer().start();
    const { seen, count } = counter();
    const pool = make(server.origin);
    const composed = pool.compose(count as never, interceptors.retry());
    const ended = times(composed, "request", 3);
    expect(await (await composed.fetch(`${server.origin}/fetch`)).text()).toBe("ok");
    const { body } = await composed.request({
      origin: server.origin,
      path: "/request",
      method: "GET",
    });
    expect(await body.text()).toBe("ok");
    const again = composed.compose(count as never);
    expect(await (await again.fetch(`${server.origin}/twice`)).text()).toBe("ok");
    await ended;
    expect(seen).toEqual(["/fetch", "/request", "/twice", "/twice"]);
    expect(again.stats()).toMatchObject({ requests: 3, failed: 0 });
    expect(composed.metricFamilies().length).toBeGreaterThan(10);
    expect(composed).toBeInstanceOf(pool.constructor);
    await again.close();
    expect(pool.stats()).toMatchObject({ open: 0, idle: 0 });
    await expect(pool.fetch(server.origin)).rejects.toMatchObject({ code: "HTTP_POOL_CLOSED" });
  });

  test("can be destroyed and disposed of", async () => {
    const retry = interceptors.retry();
    expect(await make("http://127.0.0.1:9").compose(retry).destroy()).toBeUndefined();
    await using disposed = make("http://127.0.0.1:9").compose([retry]);
    expect(disposed.stats().open).toBe(0);
    const composed = make("http://127.0.0.1:9").compose(interceptors.retry());
    await new Promise<void>((resolve) => composed.close(resolve));
  });

  test("fetch needs no this", async () => {
    await using server = await new TestServer().start();
    await using composed = make(server.origin).compose(interceptors.retry());
    const { fetch } = composed;
    expect(await (await fetch(server.origin)).text()).toBe("ok");
    const pool = make(server.origin);
    const bare = pool.fetch;
    expect(await (await bare(server.origin)).text()).toBe("ok");
    await pool.close();
  });
});
