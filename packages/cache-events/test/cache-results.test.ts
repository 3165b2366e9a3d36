import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { ResourceTemplate as TemplateV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { createMcpHandler, inputRequired, ResourceTemplate } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { Keyv } from "keyv";
import { describe, expect, test, vi } from "vitest";
import { EventCache } from "../src/index.ts";
import { cacheResults, cacheTools } from "../src/mcp.ts";
import type { CacheResultsOptions } from "../src/mcp.ts";
import { FaultyStore } from "./faulty-store.ts";
import { countCalls, generations, info, modern, text, v1, v2 } from "./mcp-support.ts";
import type { Client as AnyClient, Generation, Server } from "./mcp-support.ts";
import { deferred, manualClock, settle } from "./support.ts";

const all: CacheResultsOptions["results"] = {
  "tools/list": {},
  "prompts/list": {},
  "resources/list": {},
  "resources/templates/list": {},
  "resources/read": {},
};

const readAs = (value: unknown, more: object = {}): object => ({
  contents: [{ uri: "shop://stock", text: String(value) }],
  ...more,
});

interface Shop {
  readonly client: AnyClient;
  readonly server: Server;
  readonly cache: EventCache;
  readonly handle: Disposable;
  /** How often the server itself answered, by method. */
  readonly counts: Record<string, number>;
  readonly stock: ReturnType<Server["registerResource"]>;
}

/** One principal for all servers, as for replicas of one user. */
const everyone = { principal: () => "everyone" };

async function shop(
  generation: Generation,
  options: Partial<CacheResultsOptions> = {},
  { cache = new EventCache(), serverOptions = {}, config = {}, clientOptions = {} } = {},
): Promise<Shop> {
  const counts: Record<string, number> = {};
  let made: Omit<Shop, "client" | "counts" | "cache"> | undefined;
  const client = await generation.connect(() => {
    const server = generation.server({
      capabilities: { resources: { subscribe: true } },
      ...serverOptions,
    });
    server.registerTool("buy", {}, () => text("bought"));
    server.registerPrompt("greet", {}, () => ({ messages: [] }));
    let reads = 0;
    const stock = server.registerResource("stock", "shop://stock", config, () => readAs(++reads));
    const Template = generation === v1 ? TemplateV1 : ResourceTemplate;
    const template = new Template("shop://item/{id}", { list: undefined });
    server.registerResource("item", template, {}, () => readAs(++reads));
    for (const method of Object.keys(all))
      countCalls(server, method, () => (counts[method] = (counts[method] ?? 0) + 1));
    made = { server, stock, handle: cacheResults(server, cache, { results: all, ...options }) };
    return server;
  }, clientOptions);
  return { client, cache, counts, ...made! };
}

const bypass = { cacheMode: "bypass" };

const askAll = async (client: AnyClient): Promise<void> => {
  expect(await client.listTools(undefined, bypass)).toMatchObject({ tools: [{ name: "buy" }] });
  expect(await client.listPrompts(undefined, bypass)).toMatchObject({
    prompts: [{ name: "greet" }],
  });
  expect(await client.listResources(undefined, bypass)).toMatchObject({
    resources: [{ uri: "shop://stock" }],
  });
  expect(await client.listResourceTemplates(undefined, bypass)).toMatchObject({
    resourceTemplates: [{ uriTemplate: "shop://item/{id}" }],
  });
  await client.readResource({ uri: "shop://stock" }, bypass);
};

const read = async (client: AnyClient, uri = "shop://stock"): Promise<string | undefined> =>
  (await client.readResource({ uri }, bypass)).contents?.[0]?.text;

const names = async (client: AnyClient): Promise<string[]> =>
  ((await client.listTools(undefined, bypass)).tools ?? []).map(({ name }) => name);

describe.each(generations)("cached results of %s", (_name, generation) => {
  test("are made once, and those that no policy names every time", async () => {
    const { client, counts } = await shop(generation);
    await askAll(client);
    await askAll(client);
    expect(counts).toEqual(Object.fromEntries(Object.keys(all).map((method) => [method, 1])));

    const none = await shop(generation, { results: { "tools/list": {} } });
    await askAll(none.client);
    await askAll(none.client);
    expect(none.counts).toMatchObject({ "tools/list": 1, "prompts/list": 2, "resources/read": 2 });
  });

  test("change when the server registers, updates, disables or removes something", async () => {
    const { client, server, stock } = await shop(generation);
    expect(await names(client)).toEqual(["buy"]);
    const sell = server.registerTool("sell", {}, () => text("sold"));
    expect(await names(client)).toEqual(["buy", "sell"]);
    sell.disable();
    expect(await names(client)).toEqual(["buy"]);
    expect(await read(client)).toBe("1");
    stock.update({ callback: () => readAs("other") });
    expect(await read(client)).toBe("other");
    stock.disable();
    await expect(read(client)).rejects.toThrow("disabled");
    stock.enable();
    expect(await read(client)).toBe("other");
    stock.remove();
    await expect(read(client)).rejects.toThrow("not found");
  });

  test("change when something is registered while nobody is connected", async () => {
    const { client, server } = await shop(generation);
    expect(await names(client)).toEqual(["buy"]);
    await client.close();
    await server.close();
    server.registerTool("sell", {}, () => text("sold"));
    expect(await names(await generation.connect(() => server))).toEqual(["buy", "sell"]);
  });

  test("of a resource change before its clients hear that it was updated", async () => {
    const { client, server } = await shop(generation);
    expect([await read(client), await read(client, "shop://item/1")]).toEqual(["1", "2"]);
    await server.server.sendResourceUpdated({ uri: "shop://stock" });
    expect(await read(client)).toBe("3");
    expect(await read(client, "shop://item/1")).toBe("2");
  });

  test("change with the tags of their policy, and with a tool that says not what it changes", async () => {
    const { client, cache, server } = await shop(generation, {
      results: { "resources/read": { tags: (uri) => [`stock:${uri.at(-1)}`] } },
    });
    cacheTools(server, cache);
    expect([await read(client, "shop://item/1"), await read(client, "shop://item/2")]).toEqual([
      "1",
      "2",
    ]);
    await cache.invalidateByTags(["stock:1"]);
    expect([await read(client, "shop://item/1"), await read(client, "shop://item/2")]).toEqual([
      "3",
      "2",
    ]);
    await client.callTool({ name: "buy" });
    expect([await read(client, "shop://item/1"), await read(client, "shop://item/2")]).toEqual([
      "4",
      "5",
    ]);
  });

  test("are kept apart by principal, unless public, and an unknown one gets no private ones", async () => {
    let who: string | undefined = "alice";
    const { client } = await shop(generation, {
      principal: () => who,
      results: {
        "resources/read": { public: false, matches: (uri) => !uri.endsWith("live") },
        "tools/list": { public: true },
      },
    });
    expect([await read(client), await names(client)]).toEqual(["1", ["buy"]]);
    who = "bob";
    expect([await read(client), await read(client)]).toEqual(["2", "2"]);
    who = undefined;
    expect([await read(client), await read(client)]).toEqual(["3", "4"]);
    who = "alice";
    expect(await read(client)).toBe("1");
    expect([
      await read(client, "shop://item/live"),
      await read(client, "shop://item/live"),
    ]).toEqual(["5", "6"]);
  });

  test("are run without the cache while it is bypassed, and after disposal", async () => {
    const { client, cache, handle } = await shop(generation);
    expect(await read(client)).toBe("1");
    cache.bypass(true);
    expect(await read(client)).toBe("2");
    cache.bypass(false);
    expect(await read(client)).toBe("1");
    handle[Symbol.dispose]();
    expect(await read(client)).toBe("3");
  });

  test("that fail or are malformed are made again", async () => {
    const { client, stock } = await shop(generation);
    let runs = 0;
    stock.update({
      callback: () => {
        if (++runs === 1) throw new Error("no stock");
        return runs === 2 ? { contents: [{ uri: "shop://stock" }] } : readAs("mended");
      },
    });
    await expect(read(client)).rejects.toThrow("no stock");
    await read(client).catch(() => {});
    expect(await read(client)).toBe("mended");
  });
});

const hintsOf = async (client: AnyClient): Promise<unknown[]> => {
  const list = await client.listTools(undefined, bypass);
  const stock = await client.readResource({ uri: "shop://stock" }, bypass);
  return [list, stock].map(({ ttlMs, cacheScope }) => [ttlMs, cacheScope]);
};

describe("hints on 2026-07-28", () => {
  const clock = manualClock(1_000_000);
  const options = { now: clock.now };

  test("say how long the kept result is still good, and for whom", async () => {
    const { client } = await shop(modern, {
      ...options,
      results: { "tools/list": { public: true, ttlMs: 5_000 }, "resources/read": {} },
    });
    expect(await hintsOf(client)).toEqual([
      [5_000, "public"],
      [60_000, "private"],
    ]);
    clock.nowMs += 2_000.5;
    expect(await hintsOf(client)).toEqual([
      [2_999, "public"],
      [57_999, "private"],
    ]);
    clock.nowMs += 10_000;
    expect((await hintsOf(client))[0]).toEqual([0, "public"]);
  });

  test("are left to the SDK for what is not cached", async () => {
    const { client, cache } = await shop(modern, { ...options, results: { "tools/list": {} } });
    expect((await hintsOf(client))[1]).toEqual([0, "private"]);
    cache.bypass(true);
    expect((await hintsOf(client))[0]).toEqual([0, "private"]);
  });

  test("never say more than the server's author, nor less than both can", async () => {
    const cacheHints = { "tools/list": { ttlMs: 1_000, cacheScope: "public" } };
    const cacheHint = { ttlMs: 3_600_000 };
    const { client } = await shop(modern, options, {
      serverOptions: { cacheHints },
      config: { cacheHint },
    });
    expect(await hintsOf(client)).toEqual([
      [1_000, "public"],
      [60_000, "private"],
    ]);
    clock.nowMs += 400;
    expect(await hintsOf(client)).toEqual([
      [600, "public"],
      [59_600, "private"],
    ]);
  });

  test("in the result itself go before the configuration", async () => {
    const { client, stock } = await shop(modern, options, {
      config: { cacheHint: { ttlMs: 9_000 } },
    });
    stock.update({ callback: () => readAs("x", { ttlMs: 100, cacheScope: "public" }) });
    expect((await hintsOf(client))[1]).toEqual([100, "public"]);
  });

  test("a result that its author calls private is not shared, whatever the policy says", async () => {
    const config = { cacheHint: { cacheScope: "private" } };
    const results = { "resources/read": { public: true } };
    const { client } = await shop(modern, { results }, { config });
    expect([await read(client), await read(client)]).toEqual(["1", "2"]);
  });

  test.each([
    ["v1", v1],
    ["v2", v2],
  ])("do not appear on the protocols before it, in %s", async (_name, generation) => {
    const { client } = await shop(generation, options);
    for (const result of [
      await client.listTools(),
      await client.readResource({ uri: "shop://stock" }),
    ]) {
      expect(result).not.toHaveProperty("ttlMs");
      expect(result).not.toHaveProperty("cacheScope");
    }
  });

  test("let a client answer from its own cache until then, without asking", async () => {
    const { client, counts, server } = await shop(modern);
    const asking = client as unknown as Client;
    await asking.listen({ toolsListChanged: true });
    await client.listTools();
    await client.listTools();
    expect(counts["tools/list"]).toBe(1);
    server.registerTool("sell", {}, () => text("sold"));
    await settle();
    expect((await client.listTools()).tools).toHaveLength(2);
  });
});

test("a read that asks its client for input is made for each", async () => {
  const { client, stock, cache } = await shop(
    modern,
    {},
    { clientOptions: { capabilities: { elicitation: { form: {} } } } },
  );
  let rounds = 0;
  stock.update({
    callback: (_uri: URL, context: { mcpReq: { inputResponses?: object } }) => {
      rounds++;
      if (context.mcpReq.inputResponses !== undefined) return readAs(`round ${rounds}`);
      const requestedSchema = { type: "object", properties: {} } as const;
      const who = inputRequired.elicit({ message: "Who?", requestedSchema });
      return inputRequired({ inputRequests: { who } });
    },
  });
  client.setRequestHandler("elicitation/create" as never, () => ({
    action: "accept",
    content: {},
  }));
  expect(await read(client)).toBe("round 2");
  expect(await read(client)).toBe("round 4");
  expect(cache.stats().entries).toBe(0);
});

function fail(): never {
  throw new Error("no");
}

test("a reader that cancels leaves alone, and the last one ends the read", async () => {
  const ended = deferred<void>();
  const started = deferred<void>();
  let answer = deferred<object>();
  const { client, stock, counts } = await shop(v2);
  stock.update({
    callback: (_uri: URL, { mcpReq }: { mcpReq: { signal: AbortSignal } }) => {
      started.resolve();
      const aborted = new Promise<never>((_resolve, reject) => {
        mcpReq.signal.addEventListener("abort", () => {
          ended.resolve();
          reject(new Error("the run was ended"));
        });
      });
      return Promise.race([answer.promise, aborted]);
    },
  });
  const readUntil = (signal: AbortSignal): Promise<unknown> =>
    client.readResource({ uri: "shop://stock" }, { cacheMode: "bypass", signal });
  const [first, second] = [new AbortController(), new AbortController()];
  const left = readUntil(first.signal);
  await started.promise;
  const staying = readUntil(second.signal);
  await settle();
  first.abort(new Error("enough"));
  await expect(left).rejects.toThrow("enough");
  const joined = read(client);
  await settle();
  second.abort(new Error("enough"));
  await expect(staying).rejects.toThrow("enough");
  answer.resolve(readAs("shared"));
  expect(await joined).toBe("shared");
  expect(counts["resources/read"]).toBe(1);
  answer = deferred<object>();

  stock.update({ title: "Stock" });
  const alone = new AbortController();
  const last = readUntil(alone.signal);
  await vi.waitFor(() => expect(counts["resources/read"]).toBe(2));
  alone.abort(new Error("enough"));
  await expect(last).rejects.toThrow("enough");
  await ended.promise;
});

test("server/discover says how long it is good when a policy does", async () => {
  const handler = createMcpHandler(() => {
    const server = modern.server({ capabilities: { tools: {} } });
    const results = { "server/discover": { public: true, ttlMs: 5_000 } };
    cacheResults(server, new EventCache(), { results, now: () => 0 });
    return server as unknown as McpServer;
  });
  const answers: Response[] = [];
  const client = new Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  const transport = new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), {
    async fetch(input, init) {
      const answer = await handler.fetch(new Request(input, init));
      answers.push(answer.clone());
      return answer;
    },
  });
  await client.connect(transport);
  const { result } = (await answers[0]!.json()) as { result: object };
  expect(result).toMatchObject({
    supportedVersions: ["2026-07-28"],
    ttlMs: 5_000,
    cacheScope: "public",
  });
  await client.close();
  await handler.close();
});

test("a policy that cannot tell keeps nothing", async () => {
  for (const policy of [{ matches: fail }, { tags: fail }]) {
    const { client, cache } = await shop(v2, { results: { "resources/read": policy } });
    expect([await read(client), await read(client)]).toEqual(["1", "2"]);
    expect(cache.stats().entries).toBe(0);
  }
});

test("a principal that is not a string is refused, not shared", async () => {
  const { client } = await shop(v2, { principal: (() => ({ id: 7 })) as never });
  await expect(read(client)).rejects.toThrow("principal: expected a string");
});

test.each([
  ["v1", v1],
  ["v2", v2],
])("the Server beneath an McpServer of %s can be cached alone", async (_name, generation) => {
  let runs = 0;
  const cache = new EventCache();
  let inner: Server["server"] | undefined;
  const client = await generation.connect(() => {
    const server = generation.server();
    server.registerResource("stock", "shop://stock", {}, () => readAs(++runs));
    inner = server.server;
    cacheResults(inner, cache, { server: "mine", results: all });
    return server;
  });
  expect([await read(client), await read(client)]).toEqual(["1", "1"]);
  expect(cache.stats().byNamespace["mine"]?.entries).toBe(1);
  await inner!.sendResourceUpdated({ uri: "shop://stock" });
  expect(await read(client)).toBe("2");
});

test("a list by pages is kept page by page", async () => {
  let runs = 0;
  const client = await v2.connect(() => {
    const server = v2.server({ capabilities: { tools: {} } });
    server.server.setRequestHandler(
      "tools/list",
      ({ params }: { params?: { cursor?: string } }) => {
        runs++;
        const page = Number(params?.cursor ?? 0);
        const tools = [{ name: `tool${page}`, inputSchema: { type: "object" } }];
        return page < 2 ? { tools, nextCursor: String(page + 1) } : { tools };
      },
    );
    cacheResults(server, new EventCache(), { results: { "tools/list": {} } });
    return server;
  });
  for (let round = 0; round < 2; round++)
    expect(await names(client)).toEqual(["tool0", "tool1", "tool2"]);
  expect(runs).toBe(3);
});

test("instances made for each request share what was kept, and building one invalidates nothing", async () => {
  const cache = new EventCache();
  let reads = 0;
  const handler = createMcpHandler(() => {
    const server = modern.server();
    cacheResults(server, cache, { results: all, principal: () => "alice" });
    server.registerResource("stock", "shop://stock", {}, () => readAs(++reads));
    return server as unknown as McpServer;
  });
  const client = new Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  const url = new URL("http://localhost/mcp");
  const transport = new StreamableHTTPClientTransport(url, {
    fetch: (input, init) => handler.fetch(new Request(input, init)),
  });
  await client.connect(transport);
  for (let round = 0; round < 3; round++)
    await client.readResource({ uri: "shop://stock" }, { cacheMode: "bypass" });
  expect(reads).toBe(1);
  await client.close();
  await handler.close();
});

test("an invalidation that a store does not confirm is reported, and nothing old is served here", async () => {
  const store = new FaultyStore();
  store.immediate = true;
  const errors: unknown[] = [];
  const cache = new EventCache({ store: store.client() });
  const { client, server } = await shop(v2, { onError: (error) => errors.push(error) }, { cache });
  expect([await read(client), await names(client)]).toEqual(["1", ["buy"]]);
  store.down = true;
  await server.server.sendResourceUpdated({ uri: "shop://stock" });
  server.registerTool("sell", {}, () => text("sold"));
  await settle();
  expect(errors).toContainEqual(expect.objectContaining({ code: "CACHE_INVALIDATION" }));
  store.down = false;
  expect([await read(client), await names(client)]).toEqual(["2", ["buy", "sell"]]);
});

test("without onError it becomes a process warning", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const { client, server, cache } = await shop(v2);
  await read(client);
  await cache.close();
  await server.server.sendResourceUpdated({ uri: "shop://stock" });
  expect(warn).toHaveBeenCalledWith(expect.stringContaining("closed"), {
    type: "CacheEventsWarning",
    code: "CACHE_MCP",
  });
  warn.mockRestore();
});

test("replicas on one store share results and invalidations", async () => {
  const store = new Map<string, unknown>();
  const open = (): EventCache => new EventCache({ store: new Keyv({ store }) });
  const one = await shop(v2, everyone, { cache: open() });
  const two = await shop(v2, everyone, { cache: open() });
  expect([await read(one.client), await read(two.client)]).toEqual(["1", "1"]);
  await one.server.server.sendResourceUpdated({ uri: "shop://stock" });
  expect(await read(two.client)).toBe("1");
  expect(two.counts["resources/read"]).toBe(1);
});

test("a replica that changed a list by itself does not take that of the others", async () => {
  const cache = new EventCache();
  const one = await shop(v2, everyone, { cache });
  const two = await shop(v2, everyone, { cache });
  expect([await names(one.client), await names(two.client)]).toEqual([["buy"], ["buy"]]);
  expect(two.counts["tools/list"]).toBeUndefined();
  one.server.registerTool("sell", {}, () => text("sold"));
  expect(await names(two.client)).toEqual(["buy"]);
  expect(await names(one.client)).toEqual(["buy", "sell"]);
});

test.each([
  ["server", {}, new EventCache(), { results: all }],
  ["cache", v2.server(), {}, { results: all }],
  ["results", v2.server(), new EventCache(), {}],
  ["results.tools/call", v2.server(), new EventCache(), { results: { "tools/call": {} } }],
  [
    "results.tools/list.ttl",
    v2.server(),
    new EventCache(),
    { results: { "tools/list": { ttl: 1 } } },
  ],
  ["principal", v2.server(), new EventCache(), { results: all, principal: "alice" }],
])("a wrong %s is refused", (option, server, cache, options) => {
  expect(() => cacheResults(server, cache as never, options as never)).toThrow(
    expect.objectContaining({ code: "CACHE_OPTION", option }),
  );
});

test("a server is not cached twice by one cache, and is restored exactly", () => {
  const server = v2.server();
  server.registerTool("buy", {}, () => text("bought"));
  const before = [server, server.server].map((one) => Object.getOwnPropertyNames(one));
  const cache = new EventCache();
  const handle = cacheResults(server, cache, { results: all });
  expect(() => cacheResults(server, cache, { results: all })).toThrow("does not cache yet");
  handle[Symbol.dispose]();
  expect([server, server.server].map((one) => Object.getOwnPropertyNames(one))).toEqual(before);
  cacheResults(server, cache, { results: all })[Symbol.dispose]();
});
