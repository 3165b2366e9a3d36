import { describe, expect, test } from "vitest";
import type { ComputeContext } from "../src/index.ts";
import { EventCache, LoadTimeoutError } from "../src/index.ts";
import { ManualTimers, deferred, settle } from "./support.ts";

function never(): Promise<never> {
  return new Promise(() => {});
}

describe("readers of one compute", () => {
  test("reads that begin together share it", async () => {
    const cache = new EventCache();
    const slow = deferred<number>();
    let computes = 0;
    const read = (): Promise<number> =>
      cache.getOrSet("k", () => {
        computes++;
        return slow.promise;
      });
    const reads = [read(), read(), read()];
    slow.resolve(7);
    expect(await Promise.all(reads)).toEqual([7, 7, 7]);
    expect(computes).toBe(1);
    expect(cache.stats()).toMatchObject({ misses: 3, loads: 1, coalesced: 2, flights: 0 });
  });

  test("one that aborts leaves the others their result; its listener is gone once it is settled", async () => {
    const cache = new EventCache();
    const slow = deferred<number>();
    const [leaver, stayer] = [new AbortController(), new AbortController()];
    const leaving = cache.getOrSet("k", () => slow.promise, { signal: leaver.signal });
    const staying = cache.getOrSet("k", () => slow.promise, { signal: stayer.signal });
    let removed = 0;
    stayer.signal.removeEventListener = () => removed++;
    leaver.abort(new Error("gone"));
    await expect(leaving).rejects.toThrow("gone");
    slow.resolve(1);
    expect(await staying).toBe(1);
    await settle();
    expect(removed).toBe(1);
    expect(cache.peek("k")).toBe(1);
  });

  test("when the last one leaves, the compute is aborted, its late answer dropped, and the next reader starts anew", async () => {
    const cache = new EventCache();
    const slow = deferred<number>();
    let signal: AbortSignal | undefined;
    const controller = new AbortController();
    const compute = (context: { readonly signal: AbortSignal }): Promise<number> => {
      ({ signal } = context);
      return slow.promise;
    };
    const read = cache.getOrSet("k", compute, { signal: controller.signal, tags: ["t"] });
    controller.abort(new Error("gone"));
    await expect(read).rejects.toThrow("gone");
    expect(signal?.aborted).toBe(true);
    expect(cache.stats()).toMatchObject({ flights: 0, tags: 0, loadErrors: 0 });
    slow.resolve(1);
    await settle();
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.getOrSet("k", () => 2)).toBe(2);
  });

  test("a read with a signal that is aborted already does not compute", async () => {
    const cache = new EventCache();
    const signal = AbortSignal.abort(new Error("before"));
    let computed = false;
    const compute = (): boolean => (computed = true);
    await expect(cache.getOrSet("k", compute, { signal })).rejects.toThrow("before");
    cache.bypass(true);
    await expect(cache.getOrSet("k", compute, { signal })).rejects.toThrow("before");
    expect(computed).toBe(false);
  });

  test("a compute that does not settle in time rejects for every reader, aborts, and lets go of its key", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers, loadTimeoutMs: 50 });
    let reason: unknown;
    const heedless = ({ signal }: { readonly signal: AbortSignal }): Promise<never> => {
      signal.addEventListener("abort", () => {
        reason = signal.reason;
      });
      return new Promise(() => {});
    };
    const reads = [cache.getOrSet("k", heedless), cache.getOrSet("k", heedless)];
    const outcomes = Promise.allSettled(reads);
    expect(timers.delaysMs).toEqual([50]);
    timers.fire();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { code: "CACHE_LOAD_TIMEOUT", loadTimeoutMs: 50 } });
    expect(reason).toBeInstanceOf(LoadTimeoutError);
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    expect(timers.delaysMs).toEqual([]);
    expect(cache.stats()).toMatchObject({ loadErrors: 1, flights: 0 });
  });

  test("a read may have a time limit of its own for the compute it begins", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers, loadTimeoutMs: 50 });
    const read = cache.getOrSet("k", never, { loadTimeoutMs: 7 });
    const joined = cache.getOrSet("k", never, { loadTimeoutMs: 99 });
    expect(timers.delaysMs).toEqual([7]);
    timers.fire();
    for (const one of [read, joined])
      await expect(one).rejects.toMatchObject({ code: "CACHE_LOAD_TIMEOUT", loadTimeoutMs: 7 });
  });

  test("the error of a compute that an invalidation made too old for a reader is not that reader's", async () => {
    const cache = new EventCache();
    const slow = deferred<never>();
    const compute = ({ tag }: ComputeContext): Promise<never> => {
      tag("early");
      return slow.promise.catch((error: unknown) => {
        tag("late");
        throw error;
      });
    };
    const before = cache.getOrSet("k", compute);
    await cache.invalidateByTags(["late"]);
    const after = cache.getOrSet("k", () => "after");
    slow.reject(new Error("not there"));
    await expect(before).rejects.toThrow("not there");
    expect(await after).toBe("after");
  });

  test("a signal that is first asked for when the compute has been given up is aborted, with the reason", async () => {
    const cache = new EventCache();
    const controller = new AbortController();
    let context: ComputeContext | undefined;
    const read = cache.getOrSet(
      "k",
      (given) => {
        context = given;
        return never();
      },
      { signal: controller.signal },
    );
    controller.abort(new Error("gone"));
    await expect(read).rejects.toThrow("gone");
    expect(context?.signal.aborted).toBe(true);
    expect(context?.signal.reason).toEqual(new Error("gone"));
    expect(context?.signal).toBe(context?.signal);
    expect(await cache.getOrSet("l", ({ signal, tag }) => [signal.aborted, typeof tag])).toEqual([
      false,
      "function",
    ]);
  });

  test("a failure that nobody waits for is nobody's unhandled rejection, and one that a reader ignores is", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): unknown => unhandled.push(error);
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection").on("unhandledRejection", note);
    try {
      const cache = new EventCache({ verifyRatio: 1 });
      await cache.set("k", 1);
      await cache.getOrSet("k", () => Promise.reject(new Error("of a verification")));
      const read = cache.getOrSet("a", () => cache.getOrSet("a", never));
      await expect(read).rejects.toMatchObject({ code: "CACHE_CYCLE" });
      await settle();
      expect(unhandled).toEqual([]);
      void cache.getOrSet("b", () => Promise.reject(new Error("ignored")));
      await settle();
      await settle();
      expect(unhandled).toEqual([new Error("ignored")]);
    } finally {
      process.off("unhandledRejection", note);
      for (const listener of listeners) process.on("unhandledRejection", listener);
    }
  });

  test("tags named after the compute has ended change nothing", async () => {
    const cache = new EventCache();
    let context: ComputeContext | undefined;
    await cache.getOrSet("k", (given) => {
      context = given;
      return 1;
    });
    context?.tag("late");
    expect(cache.stats().tags).toBe(0);
    await cache.invalidateByTags(["late"]);
    expect(cache.peek("k")).toBe(1);
  });
});
