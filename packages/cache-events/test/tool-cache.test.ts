import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import type { ToolCachePolicy } from "../src/mcp.ts";
import { ToolCache } from "../src/mcp.ts";
import { FaultyStore } from "./faulty-store.ts";
import { deferred, settle } from "./support.ts";

interface Result {
  content: { type: string; text: string }[];
  [field: string]: unknown;
}

const text = (value: unknown, more: object = {}): Result => ({
  content: [{ type: "text", text: String(value) }],
  ...more,
});

function setup(tools: Record<string, ToolCachePolicy>): {
  readonly cache: EventCache;
  readonly tools: ToolCache;
  readonly call: (
    name: string,
    args?: unknown,
    principal?: string,
    more?: object,
  ) => Promise<string>;
} {
  const cache = new EventCache();
  const toolCache = new ToolCache(cache, { tools });
  let runs = 0;
  return {
    cache,
    tools: toolCache,
    async call(name, args, principal, more) {
      const call = { name, arguments: args, ...(principal === undefined ? {} : { principal }) };
      const result = await toolCache.call(call, () => text(++runs, more));
      return result.content[0]?.text ?? "";
    },
  };
}

describe("calls of read-only tools", () => {
  test("are answered from the cache for equal arguments of the same principal", async () => {
    const { call } = setup({ read: { readOnly: true } });
    expect(await call("read", { a: 1, b: 2 })).toBe("1");
    expect(await call("read", { b: 2, a: 1 })).toBe("1");
    expect(await call("read", { a: 1 })).toBe("2");
    expect(await call("read", { a: 1, b: 2 }, "alice")).toBe("3");
    expect(await call("read", { a: 1, b: 2 }, "bob")).toBe("4");
    expect(await call("read", { a: 1, b: 2 }, "alice")).toBe("3");
    expect(await call("read")).toBe("5");
  });

  test("are shared between principals only when the tool is public", async () => {
    const { call } = setup({ read: { readOnly: true, public: true } });
    expect(await call("read", {}, "alice")).toBe("1");
    expect(await call("read", {}, "bob")).toBe("1");
  });

  test("of a name, a principal and arguments cannot be mistaken for those of others", async () => {
    const { call } = setup({ a: { readOnly: true }, 'a","b': { readOnly: true } });
    await call("a", [], 'b",[]');
    expect(await call('a","b', [], "")).toBe("2");
  });

  test("carry the tags and the ttl of their policy", async () => {
    const { call, cache } = setup({
      fixed: { readOnly: true, tags: ["all"], ttlMs: 60_000 },
      perArgument: { readOnly: true, tags: (args) => [`user:${(args as { id: number }).id}`] },
    });
    await call("fixed");
    await call("perArgument", { id: 7 });
    await cache.invalidateByTags(["user:8"]);
    expect(await call("perArgument", { id: 7 })).toBe("2");
    await cache.invalidateByTags(["user:7", "all"]);
    expect(await call("perArgument", { id: 7 })).toBe("3");
    expect(await call("fixed")).toBe("4");
  });

  test.each([
    ["arguments that are not plain JSON", { at: new Date(0) }, {}],
    ["arguments that are too long", { text: "x".repeat(16_384) }, {}],
    ["tags that cannot be told", {}, { tags: () => undefined as never }],
    [
      "tags that throw",
      {},
      {
        tags: () => {
          throw new Error("no");
        },
      },
    ],
  ])("with %s are passed through", async (_what, args, policy) => {
    const { call, cache } = setup({ read: { readOnly: true, ...policy } });
    expect(await call("read", args)).toBe("1");
    expect(await call("read", args)).toBe("2");
    expect(cache.stats().entries).toBe(0);
  });

  test.each([
    ["an error", { isError: true }],
    ["a request for input", { resultType: "input_required" }],
    ["requests for input", { inputRequests: {} }],
    ["a task", { task: { taskId: "1" } }],
    ["no content", { content: undefined }],
    ["content that is not plain JSON", { structuredContent: { at: new Date(0) } }],
    ["content of more than 100,000 values", { structuredContent: { n: Array(100_001).fill(0) } }],
    ["a block without its text", { content: [{ type: "text" }] }],
    ["a block of an unknown type", { content: [{ type: "hologram" }] }],
  ])("that result in %s are not cached", async (_what, more) => {
    const { cache, tools } = setup({ read: { readOnly: true } });
    const result = text(1, more);
    expect(await tools.call({ name: "read" }, () => result)).toBe(result);
    expect(cache.stats().entries).toBe(0);
  });

  test("of a principal that is not a string are refused", async () => {
    const { tools } = setup({ read: { readOnly: true } });
    const call = { name: "read", principal: {} as string };
    await expect(tools.call(call, () => text(1))).rejects.toMatchObject({ option: "principal" });
  });

  test("that run at the same time share a run, an error too, but never a question to one client", async () => {
    for (const [more, expected] of [
      [{}, ["1", "1"]],
      [{ isError: true }, ["1", "1"]],
      [{ resultType: "input_required" }, ["1", "2"]],
    ] as const) {
      const { call } = setup({ read: { readOnly: true } });
      const both = [call("read", {}, "", more), call("read", {}, "", more)];
      expect(await Promise.all(both)).toEqual(expected);
    }
  });

  test("that throw are not cached, and a caller that goes away leaves the others alone", async () => {
    const { tools } = setup({ read: { readOnly: true } });
    await expect(
      tools.call({ name: "read" }, () => Promise.reject(new Error("no"))),
    ).rejects.toThrow("no");
    const slow = deferred<Result>();
    const controller = new AbortController();
    const leaving = tools.call({ name: "read", signal: controller.signal }, () => slow.promise);
    const staying = tools.call({ name: "read" }, () => text("unused"));
    controller.abort(new Error("gone"));
    await expect(leaving).rejects.toThrow("gone");
    slow.resolve(text("shared"));
    expect(await staying).toEqual(text("shared"));
  });

  test("give out results that no caller can corrupt for the next one, nor the tool itself", async () => {
    const { tools } = setup({ read: { readOnly: true } });
    const own = text("right", { structuredContent: { n: [1] } });
    const read = (): Promise<Result> => tools.call({ name: "read" }, () => own);
    const first = await read();
    first["_meta"] = { mine: true };
    expect(() => first.content.push({ type: "text", text: "wrong" })).toThrow(TypeError);
    own.content.length = 0;
    const second = await read();
    expect(second).toEqual(text("right", { structuredContent: { n: [1] } }));
    expect(second).not.toBe(first);
  });

  test("of several servers in one cache are kept apart", async () => {
    const cache = new EventCache();
    const tools = { read: { readOnly: true } };
    const one = new ToolCache(cache, { server: "one", tools });
    const two = new ToolCache(cache, { server: "two", tools });
    expect(await one.call({ name: "read" }, () => text(1))).toEqual(text(1));
    expect(await two.call({ name: "read" }, () => text(2))).toEqual(text(2));
    await one.call({ name: "write" }, () => text(3));
    expect(await two.call({ name: "read" }, () => text(4))).toEqual(text(2));
    expect(await one.call({ name: "read" }, () => text(5))).toEqual(text(5));
  });
});

describe("calls of other tools", () => {
  test("invalidate everything of the server when the policy does not say what, also unknown tools", async () => {
    const { call } = setup({ read: { readOnly: true }, write: {} });
    await call("read");
    await call("write");
    expect(await call("read")).toBe("3");
    await call("unknown");
    expect(await call("read")).toBe("5");
  });

  test("invalidate only their tags, or nothing, when the policy says so", async () => {
    const { call } = setup({
      users: { readOnly: true, tags: ["users"] },
      posts: { readOnly: true, tags: ["posts"] },
      addUser: { invalidates: ["users"] },
      touch: { invalidates: (args, result) => (result === undefined ? [] : [String(args)]) },
      ping: { invalidates: [] },
    });
    await call("users");
    await call("posts");
    await call("addUser");
    await call("ping");
    expect(await call("posts")).toBe("2");
    expect(await call("users")).toBe("5");
    await call("touch", "posts");
    expect(await call("users")).toBe("5");
    expect(await call("posts")).toBe("7");
  });

  test("invalidate before and after: what is read meanwhile is not kept", async () => {
    const { call, tools } = setup({ read: { readOnly: true }, write: {} });
    await call("read");
    const slow = deferred<Result>();
    const writing = tools.call({ name: "write" }, () => slow.promise);
    await settle();
    expect(await call("read")).toBe("2");
    slow.resolve(text("written"));
    await writing;
    expect(await call("read")).toBe("3");
  });

  test("invalidate also when they throw, or when their policy does", async () => {
    const { call, tools } = setup({
      read: { readOnly: true, tags: ["t"] },
      write: { invalidates: ["t"] },
      odd: {
        invalidates: () => {
          throw new Error("no");
        },
      },
    });
    await call("read");
    const failing = tools.call({ name: "write" }, async () => {
      await call("read");
      throw new Error("half done");
    });
    await expect(failing).rejects.toThrow("half done");
    expect(await call("read")).toBe("3");
    await call("odd");
    expect(await call("read")).toBe("5");
  });

  test("do not run when their invalidation fails before, and say that they did when it fails after", async () => {
    const store = new FaultyStore();
    store.immediate = true;
    const tools = new ToolCache(new EventCache({ store: store.client() }), { tools: {} });
    let runs = 0;
    const run = (): Result => {
      store.down = true;
      return text(++runs);
    };
    const after = tools.call({ name: "write" }, run);
    await expect(after).rejects.toMatchObject({ code: "CACHE_INVALIDATION", applied: true });
    const before = tools.call({ name: "write" }, run);
    await expect(before).rejects.toMatchObject({ code: "CACHE_INVALIDATION", applied: false });
    expect(runs).toBe(1);
  });

  test("are never cached or shared, whatever they return", async () => {
    const { call } = setup({ write: { readOnly: false } });
    expect(await Promise.all([call("write"), call("write")])).toEqual(["1", "2"]);
  });
});

describe("a bypassed cache", () => {
  test("runs every call and still invalidates", async () => {
    const { call, cache } = setup({ read: { readOnly: true } });
    await call("read");
    cache.bypass(true);
    expect(await call("read")).toBe("2");
    await call("write");
    cache.bypass(false);
    expect(await call("read")).toBe("4");
  });
});

test.each([
  ["cache", {}, { tools: {} }],
  ["server", new EventCache(), { server: "", tools: {} }],
  ["tools", new EventCache(), { tools: [] }],
  ["tools.read", new EventCache(), { tools: { read: true } }],
  ["tools.read.readonly", new EventCache(), { tools: { read: { readonly: true } } }],
  ["tools.read.public", new EventCache(), { tools: { read: { public: "no" } } }],
  ["tools.read.ttlMs", new EventCache(), { tools: { read: { ttlMs: 0 } } }],
  ["tools.read.tags", new EventCache(), { tools: { read: { tags: "users" } } }],
  ["tools.read.invalidates", new EventCache(), { tools: { read: { invalidates: [1] } } }],
  ["maxArgumentChars", new EventCache(), { tools: {}, maxArgumentChars: -1 }],
])("a wrong %s is refused", (option, cache, options) => {
  expect(() => new ToolCache(cache as never, options as never)).toThrow(
    expect.objectContaining({ code: "CACHE_OPTION", option }),
  );
});
