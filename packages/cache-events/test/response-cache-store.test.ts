import type { Client as RealClient, ResponseCacheStore } from "@modelcontextprotocol/client";
import * as fc from "fast-check";
import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { responseCacheStore } from "../src/mcp.ts";
import type { ResponseCacheStoreOptions } from "../src/mcp.ts";
import { countCalls, modern, text } from "./mcp-support.ts";
import type { Client, Server } from "./mcp-support.ts";
import { deferred, settle } from "./support.ts";

const key = { method: "tools/list", params: "", partition: '["shop@1",""]' };
const server = "https://shop.example/mcp";
const later = (): number => Date.now() + 60_000;

const caches: readonly (readonly [string, () => () => EventCache])[] = [
  [
    "one process",
    () => {
      const cache = new EventCache();
      return () => cache;
    },
  ],
  [
    "several processes on one store",
    () => {
      const store = new Map<string, unknown>();
      return () => new EventCache({ store: new Keyv({ store }) });
    },
  ],
];

describe.each(caches)("a response cache store of %s", (_name, make) => {
  function setup(): (options?: Partial<ResponseCacheStoreOptions>) => ResponseCacheStore {
    const open = make();
    return (options) => responseCacheStore(open(), { server, ...options });
  }

  test("gives back what was stored after a miss, until it is deleted, evicted or cleared", async () => {
    const store = setup()({ principal: "alice" });
    for (const remove of [
      () => store.delete(key),
      () => store.evict("tools/list"),
      () => store.clear(),
    ]) {
      expect(await store.get(key)).toBeUndefined();
      const expiresAt = later();
      const stamp = await store.set(key, { value: "{}", expiresAt, scope: "private" });
      expect(await store.get(key)).toEqual({ value: "{}", expiresAt, scope: "private", stamp });
      await remove();
    }
    expect(await store.get(key)).toBeUndefined();
  });

  test("shares private responses within a principal, public ones within a server, and nothing beyond", async () => {
    const open = setup();
    const alice = open({ principal: "alice" });
    const others = {
      aliceElsewhere: open({ principal: "alice" }),
      bob: open({ principal: "bob" }),
      nobody: open(),
      anotherServer: open({ principal: "alice", server: "https://evil.example/mcp" }),
    };
    const seen = async (): Promise<string[]> => {
      const found = await Promise.all(
        Object.entries(others).map(async ([name, store]) => {
          const entry = await store.get(key);
          return entry === undefined ? [] : [name];
        }),
      );
      return found.flat();
    };
    await alice.get(key);
    await alice.set(key, { value: "{}", expiresAt: later(), scope: "private" });
    expect(await seen()).toEqual(["aliceElsewhere"]);
    await alice.delete(key);
    await alice.get(key);
    await alice.set(key, { value: "{}", expiresAt: later(), scope: "public" });
    expect(await seen()).toEqual(["aliceElsewhere", "bob", "nobody"]);
  });

  test("does not serve the private response any more when a public one has replaced it, nor the other way round", async () => {
    const store = setup()({ principal: "alice" });
    for (const scope of ["private", "public", "private"] as const) {
      await store.evict("other");
      await store.get(key);
      await store.get(key);
      await store.set(key, { value: scope, expiresAt: later(), scope });
      expect(await store.get(key)).toMatchObject({ value: scope, scope });
    }
  });

  test("stores as expired what may have been fetched before an invalidation, whoever invalidated", async () => {
    const open = setup();
    const one = open({ principal: "alice" });
    const two = open({ principal: "alice" });
    await one.get(key);
    await two.delete(key);
    await one.set(key, { value: "old", expiresAt: later(), scope: "private" });
    expect(await one.get(key)).toMatchObject({ value: "old", expiresAt: 0 });
    await two.get(key);
    await two.set(key, { value: "new", expiresAt: later(), scope: "private" });
    expect((await two.get(key))?.expiresAt).toBeGreaterThan(Date.now());
  });

  test("tells which of two fetches a response may come from at the oldest", async () => {
    const store = setup()({ principal: "alice" });
    await store.get(key);
    await store.delete(key);
    await store.get(key);
    await store.set(key, { value: "new", expiresAt: later() });
    await store.set(key, { value: "old", expiresAt: later() });
    expect(await store.get(key)).toMatchObject({ expiresAt: 0 });
  });

  test("knows nothing of a response without a miss before it, and keeps it for schemas alone", async () => {
    const store = setup()({ principal: "alice" });
    const read = { ...key, method: "resources/read", params: "file:///a" };
    await store.set(key, { value: "{}", expiresAt: later() });
    await store.set(read, { value: "{}", expiresAt: later() });
    expect(await store.get(key)).toMatchObject({ value: "{}", expiresAt: 0 });
    expect(await store.get(read)).toBeUndefined();
  });

  test("has stamps that grow and differ between stores", async () => {
    const open = setup();
    const stores = Array.from({ length: 4 }, () => open({ principal: "alice" }));
    const stamps: number[] = [];
    for (let round = 0; round < 5; round++)
      for (const store of stores) stamps.push(await store.set(key, { value: `${round}` }));
    for (let index = 4; index < stamps.length; index++)
      expect(stamps[index]).toBeGreaterThan(stamps[index - 4] ?? 0);
    expect(stamps.every(Number.isSafeInteger)).toBe(true);
  });

  test("never serves what was fetched before an invalidation that had resolved, in any order of events", async () => {
    const event = fc.record({
      store: fc.nat(2),
      action: fc.constantFrom("begin", "end", "endLast", "change", "read"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
        const open = setup();
        const stores = Array.from({ length: 2 }, () => open({ principal: "alice" }));
        // The third client uses the second one's store.
        const all = [...stores, stores[1]!];
        let version = 0;
        const fetches: [number, number][] = [];
        const serve = async (store: ResponseCacheStore): Promise<boolean> => {
          const entry = await store.get(key);
          if (entry?.expiresAt === undefined || entry.expiresAt <= Date.now()) return false;
          expect(Number(entry.value)).toBe(version);
          return true;
        };
        for (const { store, action } of events) {
          const it = all[store]!;
          if (action === "change") {
            version++;
            await it.delete(key);
          } else if (action === "read") await serve(it);
          else if (action === "begin") {
            if (!(await serve(it))) fetches.push([store, version]);
          } else {
            const done = action === "end" ? fetches.shift() : fetches.pop();
            if (done === undefined) continue;
            const entry = { value: String(done[1]), expiresAt: later(), scope: "private" as const };
            await all[done[0]]!.set(key, entry);
          }
        }
        await serve(all[0]!);
      }),
      { numRuns: 200 },
    );
  });
});

test("fetches that were given up stop to count after fetchTimeoutMs", async () => {
  let nowMs = 1_000_000;
  const now = (): number => nowMs;
  const cache = new EventCache({ now });
  const store = responseCacheStore(cache, { server, now, fetchTimeoutMs: 1_000 });
  await store.get(key);
  await store.delete(key);
  await store.get(key);
  await store.set(key, { value: "{}", expiresAt: nowMs + 60_000 });
  expect(await store.get(key)).toMatchObject({ expiresAt: 0 });
  nowMs += 1_001;
  await store.get(key);
  await store.set(key, { value: "{}", expiresAt: nowMs + 60_000 });
  expect(await store.get(key)).toMatchObject({ expiresAt: nowMs + 60_000 });
});

test("events of the application invalidate responses by tags of its own", async () => {
  const cache = new EventCache({ rules: { agentCreated: () => ["agents"] } });
  const store = responseCacheStore(cache, {
    server,
    tags: ({ params }) => (params === "shop://agents" ? ["agents"] : []),
  });
  const read = { method: "resources/read", params: "shop://agents" };
  await store.get(read);
  await store.set(read, { value: "{}", expiresAt: later() });
  expect(await store.get(read)).toBeDefined();
  await cache.bus.emit({ type: "agentCreated", agentId: "ada" });
  expect(await store.get(read)).toBeUndefined();
});

test("tags that throw keep a response out", async () => {
  const store = responseCacheStore(new EventCache(), {
    server,
    tags: () => {
      throw new Error("no");
    },
  });
  await store.get(key);
  await store.set(key, { value: "{}", expiresAt: later() });
  expect(await store.get(key)).toMatchObject({ expiresAt: 0 });
});

test.each([
  ["cache", {}, { server }],
  ["server", new EventCache(), {}],
  ["principal", new EventCache(), { server, principal: "" }],
  ["fetchTimeoutMs", new EventCache(), { server, fetchTimeoutMs: 0 }],
  ["prinzipal", new EventCache(), { server, prinzipal: "alice" }],
])("a wrong %s is refused", (option, cache, options) => {
  expect(() => responseCacheStore(cache as never, options as never)).toThrow(
    expect.objectContaining({ code: "CACHE_OPTION", option }),
  );
});

const hints = (cacheScope: string): object => ({ ttlMs: 60_000, cacheScope });

function client(
  build: () => Server,
  store: ResponseCacheStore,
  errors: Error[] = [],
): Promise<Client & RealClient> {
  return modern.connect(build, { responseCacheStore: store }).then((made) => {
    const both = made as Client & RealClient;
    both.onerror = (error) => errors.push(error);
    return both;
  });
}

function shop(cacheScope: string): {
  readonly build: () => Server;
  readonly reads: Record<string, number>;
  readonly servers: Server[];
  hold: Promise<void>;
} {
  const shopState = {
    build,
    reads: { "tools/list": 0, "shop://stock": 0 },
    servers: [] as Server[],
    hold: Promise.resolve(),
  };
  function build(): Server {
    const made = modern.server({
      capabilities: { tools: {}, resources: { subscribe: true, listChanged: true } },
      cacheHints: { "tools/list": hints(cacheScope), "resources/read": hints(cacheScope) },
    });
    shopState.servers.push(made);
    made.registerTool("buy", {}, () => text("bought"));
    made.registerResource("stock", "shop://stock", {}, async () => {
      const count = ++shopState.reads["shop://stock"];
      await shopState.hold;
      return { contents: [{ uri: "shop://stock", text: `read ${count}` }] };
    });
    countCalls(made, "tools/list", () => shopState.reads["tools/list"]++);
    return made;
  }
  return shopState;
}

describe("real clients on 2026-07-28", () => {
  test("share what is public, and only with the same principal what is private", async () => {
    for (const [scope, principals, fetches] of [
      ["public", ["alice", "bob"], 1],
      ["private", ["alice", "alice"], 1],
      ["private", ["alice", "bob"], 2],
      ["private", [undefined, undefined], 2],
    ] as const) {
      const cache = new EventCache();
      const { build, reads } = shop(scope);
      for (const principal of principals) {
        const mine = principal === undefined ? { server } : { server, principal };
        const one = await client(build, responseCacheStore(cache, mine));
        expect(await one.listTools()).toMatchObject({ tools: [{ name: "buy" }] });
        await one.listTools();
        await one.readResource({ uri: "shop://stock" });
        await one.readResource({ uri: "shop://stock" });
      }
      expect(reads).toEqual({ "tools/list": fetches, "shop://stock": fetches });
    }
  });

  test("list_changed and resources/updated to one of them invalidate for all", async () => {
    const cache = new EventCache();
    const { build, reads, servers } = shop("public");
    const errors: Error[] = [];
    const one = await client(
      build,
      responseCacheStore(cache, { server, principal: "alice" }),
      errors,
    );
    const two = await client(
      build,
      responseCacheStore(cache, { server, principal: "bob" }),
      errors,
    );
    await one.listen({ toolsListChanged: true, resourceSubscriptions: ["shop://stock"] });
    await two.listTools();
    await two.readResource({ uri: "shop://stock" });
    servers[0]!.registerTool("sell", {}, () => text("sold"));
    await servers[0]!.server.sendResourceUpdated({ uri: "shop://stock" });
    await settle();
    await two.listTools();
    expect(await two.readResource({ uri: "shop://stock" })).toMatchObject({
      contents: [{ text: "read 2" }],
    });
    expect(reads).toEqual({ "tools/list": 2, "shop://stock": 2 });
    expect(errors).toEqual([]);
  });

  test("a response under way while another client invalidated is not served afterwards", async () => {
    const cache = new EventCache();
    const state = shop("public");
    const one = await client(state.build, responseCacheStore(cache, { server }));
    const two = await client(state.build, responseCacheStore(cache, { server }));
    await two.listen({ resourceSubscriptions: ["shop://stock"] });
    const gate = deferred<void>();
    state.hold = gate.promise;
    const slow = one.readResource({ uri: "shop://stock" });
    await settle();
    await state.servers[1]!.server.sendResourceUpdated({ uri: "shop://stock" });
    await settle();
    gate.resolve();
    expect(await slow).toMatchObject({ contents: [{ text: "read 1" }] });
    for (const either of [one, two])
      expect(await either.readResource({ uri: "shop://stock" })).toMatchObject({
        contents: [{ text: "read 2" }],
      });
  });

  test("a store that fails is reported to the client and costs no answer", async () => {
    const cache = new EventCache();
    const errors: Error[] = [];
    const one = await client(shop("public").build, responseCacheStore(cache, { server }), errors);
    await cache.close();
    expect(await one.listTools()).toMatchObject({ tools: [{ name: "buy" }] });
    expect(errors[0]).toMatchObject({ code: "CACHE_CLOSED" });
  });
});
