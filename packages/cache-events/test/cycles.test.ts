import { AsyncResource } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { CacheCycleError, EventCache } from "../src/index.ts";
import { ManualTimers, deferred, manualClock, settle } from "./support.ts";

const never = (): Promise<never> => new Promise(() => {});

function expectCycle(read: Promise<unknown>, path: readonly string[]): Promise<void> {
  return expect(read).rejects.toMatchObject({ code: "CACHE_CYCLE", path });
}

describe("a compute that waits for itself", () => {
  test("directly, or by way of other keys, namespaces and caches, is told so with the way it took", async () => {
    const cache = new EventCache();
    const other = new EventCache();
    await expectCycle(
      cache.getOrSet("a", () => cache.getOrSet("a", () => 1)),
      ["a", "a"],
    );
    const b = (): Promise<unknown> => cache.getOrSet("b", a, { namespace: "n" });
    const a = (): Promise<unknown> => cache.getOrSet("a", () => other.getOrSet("o", b));
    await expectCycle(a(), ["a", "o", "n/b", "a"]);
    for (const one of [cache, other]) expect(one.stats()).toMatchObject({ flights: 0, tags: 0 });
    expect(await cache.getOrSet("a", () => 1)).toBe(1);
  });

  test("also after awaiting something, in a timer's callback, and with readers that abort", async () => {
    const cache = new EventCache();
    const compute = async (): Promise<unknown> => {
      await Promise.resolve();
      await new Promise(setImmediate);
      const { signal } = new AbortController();
      return cache.getOrSet("a", () => 1, { signal });
    };
    await expectCycle(cache.getOrSet("a", compute), ["a", "a"]);
  });

  test("when two reads begin the two halves of the circle", async () => {
    const cache = new EventCache();
    const start = deferred<void>();
    const half = (own: string, next: string): Promise<unknown> =>
      cache.getOrSet(own, async () => {
        await start.promise;
        return cache.getOrSet(next, never);
      });
    const reads = [half("a", "b"), half("b", "a")];
    start.resolve();
    for (const read of reads) await expectCycle(read, ["a", "b", "a"]);
    expect(cache.stats().flights).toBe(0);
  });

  test("when every compute invalidates its own key, so that no two share a flight", async () => {
    const cache = new EventCache();
    let computes = 0;
    const read = (): Promise<unknown> =>
      cache.getOrSet(
        "a",
        async () => {
          computes++;
          await cache.invalidateByTags(["t"]);
          return read();
        },
        { tags: ["t"] },
      );
    await expectCycle(read(), ["a", "a"]);
    expect(computes).toBe(1);
    cache.bypass(true);
    await expectCycle(read(), ["a", "a"]);
    expect(computes).toBe(2);
  });

  test("an expired value does not stand in for it", async () => {
    const clock = manualClock();
    const cache = new EventCache({ now: clock.now, ttlMs: 1, staleIfErrorMs: 1_000 });
    await cache.set("a", "old");
    clock.nowMs += 2;
    let inner: unknown;
    const outer = cache.getOrSet("a", async () => {
      inner = await cache.getOrSet("a", () => 1).catch((error: unknown) => error);
      return "new";
    });
    expect(await outer).toBe("new");
    expect(inner).toBeInstanceOf(CacheCycleError);
  });

  test("a long way is shown shortened, and is whole in the error's path", async () => {
    const cache = new EventCache();
    const read = (index: number): Promise<unknown> =>
      cache.getOrSet(`${index % 30}`.padEnd(200, "x"), () => read(index + 1));
    const error = await read(0).catch((reason: unknown) => reason as CacheCycleError);
    expect(error).toBeInstanceOf(CacheCycleError);
    const { path, message } = error as CacheCycleError;
    expect(path).toHaveLength(31);
    expect(message.length).toBeLessThan(1_000);
  });

  test("with detectCycles off it runs into its time limit", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers, detectCycles: false });
    const read = cache.getOrSet("a", () => cache.getOrSet("a", () => 1));
    await settle();
    timers.fire();
    await expect(read).rejects.toMatchObject({ code: "CACHE_LOAD_TIMEOUT" });
  });
});

describe("what is no cycle", () => {
  test("computes that share what they read, in any order and at the same time", async () => {
    const cache = new EventCache();
    const gate = deferred<void>();
    const leaf = (): Promise<unknown> => cache.getOrSet("leaf", () => gate.promise.then(() => 1));
    const middle = (key: string): Promise<unknown> =>
      cache.getOrSet(key, async () => [await leaf(), await leaf()]);
    const reads = [
      cache.getOrSet("top", () => Promise.all([middle("x"), middle("y"), middle("x")])),
      cache.getOrSet("other", () => Promise.all([middle("y"), leaf()])),
      middle("x"),
    ];
    await settle();
    gate.resolve();
    await Promise.all(reads);
    expect(cache.stats()).toMatchObject({ loads: 5, loadErrors: 0 });
  });

  test("equal keys in different namespaces or caches", async () => {
    const [cache, other] = [new EventCache(), new EventCache()];
    const read = cache.getOrSet("a", () =>
      other.getOrSet("a", () => cache.getOrSet("a", () => 1, { namespace: "n" })),
    );
    expect(await read).toBe(1);
  });

  test("a value that is there: nothing waits for it", async () => {
    const cache = new EventCache();
    await cache.set("a", 1, { tags: ["t"] });
    const read = cache.getOrSet("b", () => cache.getOrSet("a", () => cache.getOrSet("b", never)));
    expect(await read).toBe(1);
  });

  test("code that a compute left behind reads its key after the compute has ended", async () => {
    const cache = new EventCache();
    const timer = deferred<void>();
    let later: Promise<unknown> | undefined;
    await cache.getOrSet("a", () => {
      later = timer.promise.then(() => cache.getOrSet("a", () => 2));
      return 1;
    });
    await cache.delete("a");
    timer.resolve();
    expect(await later).toBe(2);
  });

  test("a compute that a reader gave up is waited for no more", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers });
    const controller = new AbortController();
    const start = deferred<void>();
    const a = cache.getOrSet("a", async () => {
      await cache
        .getOrSet(
          "b",
          async () => {
            await start.promise;
            return cache.getOrSet("a", never);
          },
          { signal: controller.signal },
        )
        .catch(() => {});
      return "a, without b";
    });
    const b = cache.getOrSet("b", never);
    controller.abort(new Error("gone"));
    start.resolve();
    expect(await a).toBe("a, without b");
    expect(await b).toBe("a, without b");
  });

  test("a refresh in the background is nobody's wait, and neither is a verification", async () => {
    const clock = manualClock();
    const cache = new EventCache({
      now: clock.now,
      ttlMs: 1,
      ttlJitter: 0,
      staleWhileRevalidateMs: 1_000,
      verifyRatio: 1,
    });
    const gate = deferred<void>();
    await cache.set("stale", "old");
    clock.nowMs += 2;
    await cache.set("fresh", "old");
    const again = (): Promise<unknown> => cache.getOrSet("a", never);
    const read = cache.getOrSet("a", async () => {
      const old = await cache.getOrSet<unknown>("stale", again);
      await cache.getOrSet<unknown>("fresh", again);
      await gate.promise;
      return old;
    });
    await settle();
    gate.resolve();
    expect(await read).toBe("old");
    await settle();
    expect(cache.stats().loadErrors).toBe(0);
    expect(cache.peek("stale")).toBe("old");
  });

  test("a resource that a compute opened for all does not tie later loads to it", async () => {
    const cache = new EventCache();
    let pool: AsyncResource | undefined;
    const query = (key: string): Promise<unknown> => {
      pool ??= new AsyncResource("POOL");
      return pool.runInAsyncScope(() => cache.getOrSet(key, () => `${key} row`));
    };
    expect(await cache.getOrSet("a", () => query("b"))).toBe("b row");
    await cache.clear();
    expect(await query("a")).toBe("a row");
    expect(await cache.getOrSet("c", () => query("d"))).toBe("d row");
  });
});
