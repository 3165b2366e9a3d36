import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { CacheUnderTest, OpenCache, OpenContext } from "../src/testing.ts";
import { RaceError, StaleReadError, cacheConformance, race } from "../src/testing.ts";
import { open as openMemory } from "./race/memory.ts";
import { open as openStrict } from "./race/strict.ts";

const run = promisify(execFile);

describe("EventCache in memory", () => {
  test.for(cacheConformance({ open: openMemory }))("$name", async ({ run: play }, context) => {
    expect(await play(context)).toEqual({ lacks: [] });
  });
});

describe("EventCache, two processes in strict mode on one store", () => {
  const options = { open: openStrict, instances: 2, refusedBindLocally: true };
  test.for(cacheConformance(options))("$name", async ({ run: play }, context) => {
    expect(await play(context)).toEqual({ lacks: [] });
  });
});

/** Of the named cases. */
const allNeeds = [
  "namespaces",
  "lateTags",
  "signal",
  "staleWhileRevalidate",
  "delete",
  "set",
  "clear",
  "clearPrefix",
  "clearNamespace",
  "write",
];

const uncached: OpenCache = () => ({
  getOrSet: (_key, compute) => compute(),
  invalidateByTags: () => Promise.resolve(),
});

const never = (): Promise<never> => new Promise(() => {});

/** Keeps what it computed, whatever was invalidated meanwhile; knows neither namespaces nor tags that a compute names. */
function careless(): CacheUnderTest {
  const values = new Map<string, { readonly value: unknown; readonly tags: readonly string[] }>();
  return {
    async getOrSet(key, compute, { tags }) {
      const found = values.get(key);
      if (found !== undefined) return found.value;
      const value = await compute({ tag() {} });
      values.set(key, { value, tags });
      return value;
    },
    async invalidateByTags(tags) {
      for (const [key, entry] of values)
        if (entry.tags.some((tag) => tags.includes(tag))) values.delete(key);
    },
    async clear() {
      values.clear();
    },
  };
}

/** Serves the old value while it computes a new one, also when the old one was invalidated. */
function refreshing({ now, ttlMs }: OpenContext): CacheUnderTest {
  const values = new Map<string, { value: unknown; tags: readonly string[]; freshUntil: number }>();
  return {
    features: ["staleWhileRevalidate"],
    async getOrSet(key, compute, { tags }) {
      const load = async (): Promise<unknown> => {
        const value = await compute();
        values.set(key, { value, tags, freshUntil: now() + ttlMs });
        return value;
      };
      const found = values.get(key);
      if (found === undefined) return load();
      if (now() >= found.freshUntil) load().catch(() => {});
      return found.value;
    },
    async invalidateByTags(tags) {
      for (const entry of values.values())
        if (entry.tags.some((tag) => tags.includes(tag))) entry.freshUntil = 0;
    },
  };
}

describe("the suite", () => {
  test("finds a cache that stores what was invalidated while it was computed", async () => {
    const failures = await failuresOf(careless);
    const expected = [
      /^invalidating its first tag is heeded when the compute began before it and lands after it/,
      /^invalidating everything is heeded when the older compute lands last/,
      /^no random race finds a stale read \(seed 1\)/,
    ];
    for (const one of expected) expect(failures).toContainEqual(expect.stringMatching(one));
    expect(failures).not.toContainEqual(expect.stringMatching(/^a value that nothing invalidated/));
  });

  test("finds a cache that mixes up namespaces, and one that does not heed tags named late", async () => {
    const features = ["namespaces", "lateTags"] as const;
    const failures = await failuresOf(() => ({ ...careless(), features }));
    const expected = [
      /^keys and namespaces that look alike are kept apart.*not those of their key/s,
      /^an invalidation of a tag counts that the compute names after it/,
    ];
    for (const one of expected) expect(failures).toContainEqual(expect.stringMatching(one));
  });

  test("finds a cache that serves stale values across an invalidation", async () => {
    const failures = await failuresOf(refreshing);
    const expected = [
      /^a stale value is not served across an invalidation/,
      /^a refresh that began before an invalidation is neither stored nor shared/,
      /^a stale value does not stand in for a failed compute/,
    ];
    for (const one of expected) expect(failures).toContainEqual(expect.stringMatching(one));
  });

  test("finds a cache that never caches, for whom nothing is shown", async () => {
    const failures = await failuresOf(uncached);
    expect(failures).toEqual([
      expect.stringMatching(
        /^a value that nothing invalidated.*expected the second read to be a hit/,
      ),
      expect.stringMatching(/^no random race.*nothing was ever cached/),
    ]);
  });

  test("reports what was not run, to the runner where it can skip", async () => {
    const skipped: string[] = [];
    const lacking: string[] = [];
    for (const { run: play } of cacheConformance({ open: uncached, seeds: [] })) {
      const { lacks } = await play({ skip: (reason) => skipped.push(reason) }).catch(() => ({
        lacks: [],
      }));
      lacking.push(...lacks);
    }
    expect(skipped).toContain("the cache has no lateTags");
    expect(skipped).toContain("the cache has no namespaces, no clearNamespace");
    expect(new Set(lacking)).toEqual(new Set(allNeeds));
    expect(cacheConformance({ open: uncached }).every((one) => one.run.length === 0)).toBe(true);
  });

  test("names what a cache that hangs, fails or cannot be opened does", async () => {
    const base = { invalidateByTags: () => Promise.resolve() };
    const hangs = cacheConformance({ open: () => ({ ...base, getOrSet: never }), limitMs: 50 });
    await expect(hangs[0]?.run()).rejects.toThrow("the case did not end within limitMs = 50");
    await expect(hangs.at(-1)?.run()).rejects.toThrow(
      /did not settle within limitMs = 50; \d+ wait/,
    );
    const fails = cacheConformance({
      open: () => ({ ...base, getOrSet: () => Promise.reject(new Error("no")) }),
    });
    await expect(fails[0]?.run()).rejects.toThrow(RaceError);
    await expect(fails.at(-1)?.run()).rejects.toThrow(
      "nothing was read, so nothing was shown; errors met: Error: no",
    );
    const closed = cacheConformance({ open: () => Promise.reject(new Error("closed")) });
    await expect(closed[0]?.run()).rejects.toThrow("closed");
    await expect(closed.at(-1)?.run()).rejects.toThrow("closed");
  });

  test("races the same for the same seed", async () => {
    const first = await race({ open: careless, operations: 500, seed: 7 });
    expect(first.staleReads).toBeGreaterThan(0);
    expect(await race({ open: careless, operations: 500, seed: 7 })).toEqual(first);
    expect(await race({ open: careless, operations: 500, seed: 8 })).not.toEqual(first);
  });

  test("gives evidence of a stale read", async () => {
    const [one] = cacheConformance({ open: careless, seeds: [1] }).slice(-1);
    const error: unknown = await one?.run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StaleReadError);
    expect(error).toMatchObject({
      code: "CACHE_STALE_READ",
      message: expect.stringMatching(
        /of \d+ reads \(\d+\.\d\d %, seed 1\) were stale:\nworker 0 read/,
      ),
      evidence: expect.arrayContaining([
        expect.objectContaining({
          worker: 0,
          invalidation: expect.objectContaining({ worker: 0 }),
        }),
      ]),
    });
  });

  test("runs under node:test as well", async () => {
    const file = fileURLToPath(new URL("./race/node-test.ts", import.meta.url));
    const { stdout } = await run(
      process.execPath,
      ["--conditions=@mcp-accel/source", "--test-reporter=tap", file],
      { env: { ...process.env, NODE_TEST_CONTEXT: "" } },
    );
    expect(stdout).toMatch(/# SKIP the cache has no clearPrefix/);
    expect(stdout).toMatch(/# fail 0/);
  });
});

async function failuresOf(open: OpenCache): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const { name, run: play } of cacheConformance({ open, seeds: [1], limitMs: 5_000 })) {
    try {
      await play();
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failures;
}
