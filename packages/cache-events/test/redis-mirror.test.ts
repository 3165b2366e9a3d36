import { describe, expect, test } from "vitest";
import type { RedisStore } from "../src/redis.ts";
import { RedisMirror } from "../src/redis-mirror.ts";
import {
  callsOf,
  commandsOf,
  hasRedis,
  move,
  outcome,
  proxyOf,
  readyStore,
  serverOf,
  until,
} from "./redis-support.ts";
import { manualClock } from "./support.ts";

const fence = "app:f:t:agents";
const other = "app:f:t:other";

describe("what a mirror keeps of an answer", () => {
  test("the value, when nothing came in between", () => {
    const mirror = mirrorOf();
    const marked = mirror.mark([fence, other]);
    mirror.fill(marked, fence, "1");
    mirror.fill(marked, other, undefined);
    expect([mirror.valueOf(fence), mirror.valueOf(other)]).toEqual(["1", undefined]);
  });

  test("nothing, when a push of the fence, or of everything, was handled before the answer", () => {
    for (const push of ["forget", "drop"] as const) {
      const mirror = mirrorOf();
      const marked = mirror.mark([fence]);
      mirror[push]([fence]);
      mirror.fill(marked, fence, "old");
      expect(mirror.valueOf(fence)).toBeUndefined();
    }
  });

  test("nothing of an older read, also when a newer one is under way", () => {
    const mirror = mirrorOf();
    const older = mirror.mark([fence]);
    mirror.forget([fence]);
    const newer = mirror.mark([fence]);
    mirror.fill(newer, fence, "new");
    mirror.fill(older, fence, "old");
    expect(mirror.valueOf(fence)).toBe("new");
  });

  test("no more fences than it may, the oldest go first", () => {
    const mirror = mirrorOf(2);
    const marked = mirror.mark(["a", "b", "c"]);
    for (const name of marked.keys()) mirror.fill(marked, name, name);
    expect(["a", "b", "c"].map((name) => mirror.valueOf(name))).toEqual([undefined, "b", "c"]);
    expect(mirror.size).toBe(2);
  });

  test("every change and every loss has a version of its own", () => {
    const mirror = mirrorOf();
    const versions = [mirror.version()];
    mirror.forget([fence]);
    versions.push(mirror.version());
    mirror.drop();
    versions.push(mirror.version());
    expect(new Set(versions).size).toBe(3);
  });
});

describe.skipIf(!hasRedis("Redis mirror"))(
  "the mirror of a store in Redis",
  { timeout: 20_000 },
  () => {
    test("knows what was read until another process moves it", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([readyStore(server), readyStore(server)]);
      const { mirror } = here.store;
      expect(mirror.strict).toBe(false);
      const first = await move(there.store, fence);
      await here.store.read([fence]);
      await until(async () => {
        await here.store.read([fence]);
        return mirror.valueOf(fence) === first;
      });
      const version = mirror.version();
      expect(version).toBeDefined();
      await move(there.store, fence);
      await until(() => mirror.valueOf(fence) === undefined);
      expect(mirror.version()).not.toBe(version);
    });

    test("forgets an own move at once, not only when Redis tells", async () => {
      const server = await serverOf();
      const { store } = await readyStore(server);
      await known(store, fence);
      const { mirror } = store;
      const version = mirror.version();
      const moving = move(store, fence);
      await Promise.resolve();
      await Promise.resolve();
      expect(mirror.valueOf(fence)).toBeUndefined();
      expect(mirror.version()).not.toBe(version);
      await moving;
    });

    // A reply resolves in a microtask, after a push of the same chunk was handled: only the mark made when the read was sent helps.
    test("does not keep an answer that comes in one piece with the news that it is old", async () => {
      for (const change of ["move", "FLUSHALL"] as const) {
        const server = await serverOf();
        const proxy = await proxyOf(server);
        const { store } = await readyStore(proxy);
        const there = await readyStore(server);
        const before = await move(there.store, fence);
        await known(store, fence);
        const commands = await commandsOf(server);
        const served = await callsOf(commands, "mget");
        proxy.set("held");
        const reading = store.read([fence]);
        await until(async () => (await callsOf(commands, "mget")) > served);
        if (change === "move") await move(there.store, fence);
        else await commands("FLUSHALL");
        // The push waits behind the answer, and both arrive in one piece.
        await until(() => proxy.holds("invalidate"));
        proxy.set("pass");
        expect(await reading).toEqual([before]);
        await new Promise(setImmediate);
        expect(store.mirror.valueOf(fence)).toBeUndefined();
      }
    });

    test("hears of another's move in the same turn of Redis' loop as its own", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([readyStore(server), readyStore(server)]);
      await known(here.store, fence);
      server.pause(true);
      const own = [move(here.store, fence), here.store.read([fence])] as const;
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      const theirs = move(there.store, fence);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      server.pause(false);
      await Promise.all([...own, theirs]);
      const [current] = await there.store.read([fence]);
      expect(current).toBe(await theirs);
      await here.store.read(["app:f:t:none"]);
      expect([undefined, current]).toContain(here.store.mirror.valueOf(fence));
    });

    test("drops everything on FLUSHALL, and a fence that was evicted, deleted or expired", async () => {
      const server = await serverOf();
      const { store } = await readyStore(server);
      const commands = await commandsOf(server);
      const ways: readonly (readonly string[])[] = [
        ["FLUSHALL"],
        ["FLUSHDB"],
        ["DEL", `cache-events:f:${fence}`],
        ["PEXPIRE", `cache-events:f:${fence}`, "1"],
      ];
      for (const way of ways) {
        await known(store, fence);
        await commands(...way);
        await until(() => store.mirror.valueOf(fence) === undefined);
      }
      await known(store, fence);
      await commands("CONFIG", "SET", "maxmemory-policy", "allkeys-random");
      await commands("CONFIG", "SET", "maxmemory", "1");
      await until(() => store.mirror.valueOf(fence) === undefined);
      expect(await store.read([fence])).toEqual([undefined]);
    });

    test("knows a fence by its name also where UTF-8 cannot hold it", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([readyStore(server), readyStore(server)]);
      const odd = "app:f:t:\ud800";
      await known(here.store, odd);
      await known(here.store, fence);
      await move(there.store, odd);
      await until(() => here.store.mirror.valueOf(odd) === undefined);
      expect(here.store.mirror.valueOf(fence)).toBeDefined();
    });

    test("is not moved by entries that are written", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([readyStore(server), readyStore(server)]);
      await known(here.store, fence);
      const version = here.store.mirror.version();
      await there.store.write([{ key: "app:e:0::x", value: "x" }]);
      await here.store.read(["app:e:0::x"]);
      expect(here.store.mirror.version()).toBe(version);
    });

    test("is not trusted once the last answered command was sent a lease ago, and is again after an answer", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const clock = manualClock();
      const { store } = await readyStore(proxy, { leaseMs: 60_000, now: clock.now });
      await known(store, fence);
      const { mirror } = store;
      const version = mirror.version();
      proxy.set("held");
      clock.nowMs += 10_000;
      const reading = store.read([fence]);
      await new Promise(setImmediate);
      clock.nowMs += 49_999;
      expect(mirror.version()).toBe(version);
      clock.nowMs += 1;
      expect(mirror.version()).toBeUndefined();
      proxy.set("pass");
      await reading;
      expect(mirror.version()).toBe(version);
      // It counts from when the command was sent, not from when it was answered.
      clock.nowMs += 9_999;
      expect(mirror.version()).toBe(version);
      clock.nowMs += 1;
      expect(mirror.version()).toBeUndefined();
    });

    test("is dropped when the link breaks or the server dies, and begins empty on the next connection", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const { store } = await readyStore(proxy);
      const { mirror } = store;
      await known(store, fence);
      const version = mirror.version();
      proxy.set("cut");
      await until(() => mirror.version() === undefined);
      expect(mirror.valueOf(fence)).toBeUndefined();
      proxy.set("pass");
      await until(() => mirror.version() !== undefined);
      expect(mirror.version()).not.toBe(version);
      expect(mirror.valueOf(fence)).toBeUndefined();
      await known(store, fence);
      await server.kill();
      await until(() => mirror.valueOf(fence) === undefined && mirror.version() === undefined);
      expect(await outcome(store.read([fence]))).not.toBe("fulfilled");
    });
  },
);

function mirrorOf(maxFences = 10): RedisMirror {
  return new RedisMirror(() => true, maxFences);
}

/** Reads until the mirror has what was read: the news of the move that made the fence may come later than the read's answer. */
async function known(store: RedisStore, name: string): Promise<void> {
  if ((await store.read([name]))[0] === undefined) await move(store, name);
  await until(async () => {
    const [value] = await store.read([name]);
    return value !== undefined && store.mirror.valueOf(name) === value;
  });
}
