import * as fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { CacheKey } from "../src/index.ts";
import { EventCache, cacheKey } from "../src/index.ts";

interface User {
  readonly name: string;
}

const ada = cacheKey<User>("user", 1);

describe("typed keys", () => {
  test("every method knows the value of such a key", async () => {
    const cache = new EventCache();
    await cache.set(ada, { name: "Ada" });
    expectTypeOf(cache.peek(ada)).toEqualTypeOf<User | undefined>();
    expectTypeOf(cache.get(ada)).toEqualTypeOf<Promise<User | undefined>>();
    expectTypeOf(cache.getOrSet(ada, () => ({ name: "Ada" }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(cache.getMany([ada])).toEqualTypeOf<Promise<(User | undefined)[]>>();
    const many = cache.getOrSetMany([ada], (keys) => {
      expectTypeOf(keys).toEqualTypeOf<readonly CacheKey<User>[]>();
      return [{ name: "Ada" }];
    });
    expectTypeOf(many).toEqualTypeOf<Promise<(User | undefined)[]>>();
    expect(await many).toEqual([{ name: "Ada" }]);
    expect(cache.peek(ada)?.name).toBe("Ada");
  });

  test("a compute or value of another type does not compile", async () => {
    const cache = new EventCache();
    // @ts-expect-error a number is no user
    await cache.getOrSet(ada, () => 1);
    // @ts-expect-error a string is no user
    await cache.set(ada, "Ada");
    // @ts-expect-error numbers are no users
    await cache.getOrSetMany([ada], () => [1]);
    // @ts-expect-error a number is no user
    await cache.setMany([[ada, 1]]);
    // @ts-expect-error the key of a user is not the key of a number
    const other: CacheKey<number> = ada;
    expect(other).toBe("user:1");
  });

  test("with a plain string the compute or the caller says the type", async () => {
    const cache = new EventCache();
    expectTypeOf(cache.getOrSet("k", () => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(cache.peek("k")).toEqualTypeOf<unknown>();
    expectTypeOf(cache.get<number>("k")).toEqualTypeOf<Promise<number | undefined>>();
    expectTypeOf(cache.getOrSetMany(["k"], () => [1])).toEqualTypeOf<
      Promise<(number | undefined)[]>
    >();
    await cache.set("k", 1);
    expect(await cache.get<number>("k")).toBe(1);
  });

  test("is a string that a prefix selects", async () => {
    const cache = new EventCache();
    await cache.set(ada, { name: "Ada" });
    expect(ada).toBe("user:1");
    await cache.clear({ prefix: "user:" });
    expect(cache.peek(ada)).toBeUndefined();
  });

  test("different parts never make the same key", () => {
    const parts = fc.array(fc.string({ unit: fc.constantFrom(":", "\\", "a") }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(parts, parts, (one, two) => {
        const same = JSON.stringify(one) === JSON.stringify(two);
        expect(cacheKey(...one) === cacheKey(...two)).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });
});
