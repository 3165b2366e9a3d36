import { describe, expect, test } from "vitest";
import type { ComputeContext } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import { deferred, settle } from "./support.ts";

describe("tag-based invalidation", () => {
  test("every entry with the tag goes, and no other", async () => {
    const cache = new EventCache();
    await cache.set("a", 1, { tags: ["red", "round"] });
    await cache.set("b", 2, { tags: ["red"], namespace: "n" });
    await cache.set("c", 3, { tags: ["blue"] });
    await cache.set("d", 4);
    await cache.invalidateByTags(["red"]);
    expect(cache.peek("a")).toBeUndefined();
    expect(cache.peek("b", { namespace: "n" })).toBeUndefined();
    expect(cache.peek("c")).toBe(3);
    expect(cache.peek("d")).toBe(4);
  });

  test("an entry with a tag that was invalidated before is stored and found", async () => {
    const cache = new EventCache();
    await cache.invalidateByTags(["t"]);
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    expect(cache.peek("k")).toBe(1);
    await cache.getOrSet("late", ({ tag }) => {
      tag("t", "u");
      return 2;
    });
    expect(cache.peek("late")).toBe(2);
  });

  test("a compute overtaken by an invalidation answers its own reader and is not stored", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const read = cache.getOrSet("k", () => slow.promise, { tags: ["t"] });
    await cache.invalidateByTags(["t"]);
    slow.resolve("old");
    expect(await read).toBe("old");
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats().tags).toBe(0);
  });

  test("a reader newer than an invalidation computes again instead of joining", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const old = cache.getOrSet("k", () => slow.promise, { tags: ["t"] });
    await cache.invalidateByTags(["t"]);
    const newer = cache.getOrSet("k", () => "new", { tags: ["t"] });
    slow.resolve("old");
    expect(await Promise.all([old, newer])).toEqual(["old", "new"]);
    expect(cache.peek("k")).toBe("new");
  });

  test("an invalidation between the start of a compute and its joiner is not hidden by a later one", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const compute = async ({ tag }: Pick<ComputeContext, "tag">): Promise<string> => {
      const value = await slow.promise;
      tag("late");
      return value;
    };
    const old = cache.getOrSet("k", compute);
    await cache.invalidateByTags(["late"]);
    const joiner = cache.getOrSet("k", () => "new");
    await cache.invalidateByTags(["late"]);
    slow.resolve("old");
    expect(await Promise.all([old, joiner])).toEqual(["old", "new"]);
  });

  test("a joiner that names another tag is refused when that tag moved, and adds it when it did not", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const old = cache.getOrSet("k", () => slow.promise, { tags: ["a"] });
    await cache.invalidateByTags(["b"]);
    const refused = cache.getOrSet("k", () => "new", { tags: ["a", "b"] });
    expect(await refused).toBe("new");
    slow.resolve("old");
    expect(await old).toBe("old");

    const again = deferred<string>();
    const first = cache.getOrSet("m", () => again.promise, { tags: ["a"] });
    const joined = cache.getOrSet("m", () => "unused", { tags: ["c"] });
    again.resolve("shared");
    expect(await Promise.all([first, joined])).toEqual(["shared", "shared"]);
    await cache.invalidateByTags(["c"]);
    expect(cache.peek("m")).toBeUndefined();
  });

  test("an unrelated invalidation refuses neither a result nor a joiner", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const first = cache.getOrSet("k", ({ tag }) => {
      tag("late");
      return slow.promise;
    });
    await cache.invalidateByTags(["other"]);
    const joiner = cache.getOrSet("k", () => "unused");
    slow.resolve("shared");
    expect(await Promise.all([first, joiner])).toEqual(["shared", "shared"]);
    expect(cache.peek("k")).toBe("shared");
  });

  test("write invalidates before and after, also when the mutation throws", async () => {
    const cache = new EventCache();
    await cache.set("k", "before", { tags: ["t"] });
    const during: unknown[] = [];
    const result = await cache.write(["t"], async () => {
      during.push(cache.peek("k"));
      await cache.getOrSet("k", () => "half-way", { tags: ["t"] });
      return "written";
    });
    expect(result).toBe("written");
    expect(during).toEqual([undefined]);
    expect(cache.peek("k")).toBeUndefined();
    const failing = cache.write(["t"], async () => {
      await cache.getOrSet("k", () => "half-way", { tags: ["t"] });
      throw new Error("mutation failed");
    });
    await expect(failing).rejects.toThrow("mutation failed");
    expect(cache.peek("k")).toBeUndefined();
  });

  test("operations name their tags, and an unknown one has none", () => {
    const cache = new EventCache({ operations: { assign_task: ["tasks", "agent_workload"] } });
    expect(cache.tagOperation("assign_task")).toEqual(["tasks", "agent_workload"]);
    expect(cache.tagOperation("constructor")).toEqual([]);
  });

  test("invalidating a tag costs the same for one entry and for many: nothing is scanned", async () => {
    const cache = new EventCache({ maxEntries: 100_000 });
    for (let index = 0; index < 50_000; index++) await cache.set(`k${index}`, 1, { tags: ["t"] });
    await cache.invalidateByTags(["t"]);
    expect(cache.stats()).toMatchObject({ entries: 50_000, tags: 1 });
    expect(cache.peek("k7")).toBeUndefined();
  });
});

describe("clear", () => {
  test.each([
    [undefined, []],
    [{ prefix: "user:" }, ["post:1", "n/post:1"]],
    [{ namespace: "n" }, ["user:1", "user:2", "post:1"]],
    [{ namespace: "" }, ["n/user:1", "n/post:1"]],
    [{ namespace: "unknown" }, ["user:1", "user:2", "post:1", "n/user:1", "n/post:1"]],
    [{ namespace: "n", prefix: "user:" }, ["user:1", "user:2", "post:1", "n/post:1"]],
    [{ namespace: "unknown", prefix: "u" }, ["user:1", "user:2", "post:1", "n/user:1", "n/post:1"]],
    [{ tags: ["t"] }, ["user:2", "n/post:1"]],
    [{ tags: ["t"], prefix: "user:" }, ["user:2", "post:1", "n/post:1"]],
    [{ tags: ["t"], namespace: "n" }, ["user:1", "user:2", "post:1", "n/post:1"]],
  ])("%o leaves what does not match", async (selection, left) => {
    const cache = await filled();
    await (selection === undefined ? cache.clear() : cache.clear(selection));
    const all = ["user:1", "user:2", "post:1", "n/user:1", "n/post:1"];
    const found = all.filter((name) => {
      const [key = "", namespace] = name.split("/").toReversed();
      return cache.peek(key, namespace === undefined ? {} : { namespace }) !== undefined;
    });
    expect(found).toEqual(left);
  });

  test.each([
    ["everything", undefined],
    ["a prefix", { prefix: "user:" }],
    ["a namespace", { namespace: "n" }],
    ["tags within a namespace", { namespace: "n", tags: ["t"] }],
  ])("%s also covers computes under way: not stored, not joined", async (_what, selection) => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const options = { namespace: "n" };
    const old = cache.getOrSet("user:1", () => slow.promise, options);
    await (selection === undefined ? cache.clear() : cache.clear(selection));
    const newer = cache.getOrSet("user:1", () => "new", options);
    slow.resolve("old");
    expect(await Promise.all([old, newer])).toEqual(["old", "new"]);
    expect(cache.peek("user:1", options)).toBe("new");
  });

  test("delete covers a compute under way", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const old = cache.getOrSet("k", () => slow.promise);
    await cache.delete("k");
    slow.resolve("old");
    expect(await old).toBe("old");
    await settle();
    expect(cache.peek("k")).toBeUndefined();
  });
});

async function filled(): Promise<EventCache> {
  const cache = new EventCache();
  await cache.set("user:1", 1, { tags: ["t"] });
  await cache.set("user:2", 2);
  await cache.set("post:1", 3, { tags: ["t"] });
  await cache.set("user:1", 4, { namespace: "n", tags: ["t"] });
  await cache.set("post:1", 5, { namespace: "n" });
  return cache;
}
