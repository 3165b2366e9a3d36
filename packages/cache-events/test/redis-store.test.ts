import { createClient, createCluster } from "@redis/client";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { redisStore } from "../src/redis.ts";
import type { RedisReport } from "../src/redis.ts";
import {
  commandsOf,
  dayMs,
  hasRedis,
  move,
  outcome,
  proxyOf,
  readyStore,
  serverOf,
  storeOf,
  until,
} from "./redis-support.ts";
import { ManualTimers } from "./support.ts";

const fence = "app:f:t:agents";
const entry = "app:e:0::agents";

describe.skipIf(!hasRedis("Redis store"))("a store in Redis", { timeout: 20_000 }, () => {
  test("reads what was written, and nothing of what is absent, in one command and a question for all reads of a turn", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    await store.write([{ key: entry, value: "one", expiresInMs: 60_000 }]);
    const value = await move(store, fence);
    const commands = await commandsOf(server);
    await commands("CONFIG", "RESETSTAT");
    expect(await store.read([entry, fence, "app:f:t:none"])).toEqual(["one", value, undefined]);
    await Promise.all(Array.from({ length: 9 }, () => store.read([fence])));
    const stats = String(await commands("INFO", "commandstats"));
    expect(stats.match(/cmdstat_\w+:calls=\d+/g)?.toSorted()).toEqual([
      "cmdstat_info:calls=2",
      "cmdstat_mget:calls=10",
    ]);
    await store.remove(entry);
    expect(await store.read([entry])).toEqual([undefined]);
  });

  test("lets entries and fences expire, and keeps what does not", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const commands = await commandsOf(server);
    await store.write([
      { key: entry, value: "one", expiresInMs: 60_000.4 },
      { key: "app:e:0::kept", value: "two" },
    ]);
    await store.moveFences([fence], { first: [], lifetimeMs: 50_000 });
    const ttl = async (name: string): Promise<number> =>
      Number(await commands("PTTL", `cache-events:${name}`));
    expect(await ttl(`e:${entry}`)).toBeGreaterThan(50_000);
    expect(await ttl("e:app:e:0::kept")).toBe(-1);
    expect(await ttl(`f:${fence}`)).toBeGreaterThan(0);
    await store.moveFences([fence], { first: [], lifetimeMs: Infinity });
    expect(await ttl(`f:${fence}`)).toBe(-1);
  });

  test("gives a fence a value that it never had, also when it was lost in between and from several stores at once", async () => {
    const server = await serverOf();
    const stores = await Promise.all([readyStore(server), readyStore(server)]);
    const commands = await commandsOf(server);
    const seen: (string | undefined)[] = [];
    for (let round = 0; round < 20; round++) {
      const moves = stores.flatMap(({ store }) => [move(store, fence), move(store, fence)]);
      seen.push(...(await Promise.all(moves)));
      if (round % 5 === 4) await commands("FLUSHALL");
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).not.toContain(undefined);
  });

  test("counts beyond what Lua's numbers hold", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const commands = await commandsOf(server);
    await commands("SET", `cache-events:f:${fence}`, "9007199254740993");
    expect(await move(store, fence)).toMatch(/\.9007199254740994$/);
  });

  test("moves the first fences and the others in one step, each of them once", async () => {
    const { store } = await readyStore(await serverOf());
    const moved = await store.moveFences(["app:f:t:a", "app:f:t:a"], {
      first: ["app:f:any"],
      lifetimeMs: dayMs,
    });
    expect([...moved.keys()]).toEqual(["app:f:any", "app:f:t:a"]);
    expect(await store.read([...moved.keys()])).toEqual([...moved.values()]);
  });

  test("a fence that is only created keeps the value that another process gave it meanwhile, and its expiry", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const create = { first: [], lifetimeMs: dayMs, create: true };
    const created = await store.moveFences([fence], { ...create, lifetimeMs: 5_000 });
    expect(await store.moveFences([fence], create)).toEqual(created);
    const commands = await commandsOf(server);
    expect(Number(await commands("PTTL", `cache-events:f:${fence}`))).toBeLessThanOrEqual(5_000);
    await commands("FLUSHALL");
    expect(await store.moveFences([fence], create)).not.toEqual(created);
  });

  test("works when the server forgets its scripts", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const commands = await commandsOf(server);
    const before = await move(store, fence);
    await commands("SCRIPT", "FLUSH");
    expect(await move(store, fence)).not.toBe(before);
  });

  test("a move that is sent a second time, late, brings no old value back", async () => {
    const server = await serverOf();
    const proxy = await proxyOf(server);
    const { store } = await readyStore(proxy);
    const seen = [await move(store, fence)];
    const sent: Buffer[] = [];
    proxy.onRequest = (chunk) => sent.push(chunk);
    seen.push(await move(store, fence));
    proxy.onRequest = undefined;
    seen.push(await move(store, fence));
    await send(server.port, Buffer.concat(sent));
    const [value] = await store.read([fence]);
    expect(value).toBeDefined();
    expect(seen).not.toContain(value);
  });

  test("keeps keys apart that UTF-8 cannot hold", async () => {
    const { store } = await readyStore(await serverOf());
    await store.write([
      { key: "app:e:0::\ud800", value: "one" },
      { key: "app:e:0::\ud801", value: "two" },
    ]);
    expect(await store.read(["app:e:0::\ud801", "app:e:0::\ud800"])).toEqual(["two", "one"]);
  });

  test("needs no more rights than the README says", async () => {
    const server = await serverOf();
    const commands = await commandsOf(server);
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /`(\+hello [^`]+)`/.exec(readme)?.[1]?.split(" ") ?? [];
    await commands(
      "ACL",
      "SETUSER",
      "app",
      "on",
      ">secret",
      "~cache-events:*",
      "nocommands",
      ...rights,
    );
    const url = `redis://app:secret@127.0.0.1:${server.port}/1`;
    const reports: RedisReport[] = [];
    await using store = redisStore({
      client: createClient({ url }),
      onReport: (one) => reports.push(one),
    });
    store.listen(() => {});
    await store.ready();
    await store.write([{ key: entry, value: "one" }]);
    const value = await move(store, fence, "event");
    await store.moveFences([fence], { first: [], lifetimeMs: Infinity, create: true });
    expect(await store.read([entry, fence])).toEqual(["one", value]);
    await store.remove(entry);
    expect(reports).toEqual([{ type: "up", link: "fences" }]);
  });

  test("two prefixes in one Redis do not meet, and the client's own prefix is kept", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server, { prefix: "one:" });
    const url = `redis://127.0.0.1:${server.port}`;
    await using other = redisStore({ client: createClient({ url, keyPrefix: "own:" }) });
    await store.write([{ key: entry, value: "one" }]);
    await other.write([{ key: entry, value: "two" }]);
    expect(await store.read([entry])).toEqual(["one"]);
    const commands = await commandsOf(server);
    expect(await commands("GET", `own:cache-events:e:${entry}`)).toBe("two");
  });

  test("what is not ours in a fence's place, or in that of the stream, is an error and nothing was moved", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const commands = await commandsOf(server);
    await commands("LPUSH", `cache-events:f:${fence}`, "x");
    expect(await store.read([fence])).toEqual([undefined]);
    expect(await outcome(move(store, fence))).toContain("WRONGTYPE");
    await commands("SET", "cache-events:events", "x");
    const before = await move(store, "app:f:t:other");
    expect(await outcome(move(store, "app:f:t:other", "event"))).toContain("WRONGTYPE");
    expect(await store.read(["app:f:t:other"])).toEqual([before]);
  });

  test("rejects a move that there is no memory for, and goes on reading", async () => {
    const server = await serverOf({ args: ["--maxmemory-policy", "noeviction"] });
    const { store } = await readyStore(server);
    const commands = await commandsOf(server);
    const before = await move(store, fence);
    await commands("CONFIG", "SET", "maxmemory", "1");
    expect(await outcome(move(store, fence))).toContain("OOM");
    expect(await outcome(store.write([{ key: entry, value: "x" }]))).toContain("OOM");
    expect(await store.read([fence])).toEqual([before]);
    await commands("CONFIG", "SET", "maxmemory", "0");
    expect(await move(store, fence)).not.toBe(before);
  });
});

describe.skipIf(!hasRedis("Redis store, failing"))(
  "a store in a Redis that fails",
  { timeout: 20_000 },
  () => {
    test("refuses a replica, whose answers may be old", async () => {
      const primary = await serverOf();
      const replica = await serverOf({ args: ["--replicaof", "127.0.0.1", String(primary.port)] });
      const { store } = storeOf(replica);
      expect(await outcome(store.ready())).toContain("replica");
      expect(await outcome(store.read([fence]))).toContain("no connection");
    });

    test("leaves a primary that was demoted: with its first read or write, or with the next heartbeat", async () => {
      const primary = await serverOf();
      const server = await serverOf();
      const { store, reports } = await readyStore(server);
      const idle = await readyStore(server, { leaseMs: 100 });
      const [reader, writer] = [await readyStore(server), await readyStore(server)];
      const commands = await commandsOf(server);
      await commands("REPLICAOF", "127.0.0.1", String(primary.port));
      expect(await outcome(reader.store.read([fence]))).toContain("replica");
      expect(await outcome(move(store, fence))).toContain("replica");
      expect(await outcome(writer.store.remove(entry))).toContain("READONLY");
      for (const left of [reports, reader.reports, writer.reports])
        expect(left.at(-1)?.type).toBe("down");
      await until(() => idle.reports.at(-1)?.type === "down");
      expect(await outcome(idle.store.read([fence]))).toContain("no connection");
      await commands("REPLICAOF", "NO", "ONE");
      await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
    });

    test("reads nothing from a server that is loading its data", async () => {
      const server = await serverOf({
        args: ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"],
      });
      const filling = await commandsOf(server);
      await filling("EVAL", "for i=1,3000 do redis.call('SET', i, string.rep('x', 100)) end", "0");
      await filling("SAVE");
      await server.kill();
      await server.start();
      const { store } = storeOf(server);
      expect(await outcome(store.read([fence]))).toContain("LOADING");
      expect(await outcome(move(store, fence))).toContain("LOADING");
      await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
    });

    test("no fence survives a restart, with what was saved before it or without", async () => {
      const server = await serverOf();
      const { store } = await readyStore(server);
      const commands = await commandsOf(server);
      const saved = await move(store, fence);
      await commands("SAVE");
      const lost = await move(store, fence);
      await server.kill();
      await server.start();
      await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
      const [restored] = await store.read([fence]);
      expect(restored).toBeDefined();
      expect([saved, lost]).not.toContain(restored);
      const moved = await move(store, fence);
      expect([saved, lost, restored]).not.toContain(moved);
    });

    test("rejects at once while the link is cut, and what waits when it breaks; then connects again", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const { store, reports } = await readyStore(proxy);
      const commands = await commandsOf(server);
      await commands("CLIENT", "PAUSE", "200");
      const waiting = outcome(store.read([fence]));
      await new Promise(setImmediate);
      proxy.set("cut");
      expect(await waiting).not.toBe("fulfilled");
      expect(await outcome(store.read([fence]))).toContain("no connection");
      proxy.set("pass");
      await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
      expect(reports.map(({ type }) => type)).toContain("down");
      expect(reports.at(-1)?.type).toBe("up");
    });

    test("gives up on a link that is half open after the lease, and makes a new one", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const { store } = await readyStore(proxy, { leaseMs: 150, connectTimeoutMs: 1_000 });
      proxy.set("half-open");
      expect(await outcome(store.read([fence]))).not.toBe("fulfilled");
      expect(await outcome(store.read([fence]))).toContain("no connection");
      proxy.set("pass");
      await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
    });

    test("an answer that is lost rejects the move, though it may have happened", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const { store } = await readyStore(proxy);
      const before = await move(store, fence);
      proxy.set("held");
      const moving = outcome(move(store, fence));
      const direct = await readyStore(server);
      await until(async () => (await direct.store.read([fence]))[0] !== before);
      proxy.set("cut");
      expect(await moving).not.toBe("fulfilled");
    });

    test("refuses more commands than may wait", async () => {
      const server = await serverOf();
      const proxy = await proxyOf(server);
      const { store } = await readyStore(proxy, { maxPending: 16, leaseMs: 60_000 });
      proxy.set("held");
      const reads = Array.from({ length: 17 }, () => outcome(store.read([fence])));
      expect(await reads[16]).toContain("full");
      proxy.set("pass");
      expect(new Set(await Promise.all(reads.slice(0, 16)))).toEqual(new Set(["fulfilled"]));
    });

    test("tries again ever more slowly, by a random share, and never more than every two seconds", async () => {
      const timers = new ManualTimers();
      let share = 0;
      const { store, reports } = storeOf({ port: 1 }, { timers, random: () => share });
      expect(await outcome(store.ready())).not.toBe("fulfilled");
      const delays: number[] = [];
      for (let failures = 1; failures <= 8; failures++) {
        await until(() => reports.length === failures);
        delays.push(timers.delaysMs.at(-1) ?? 0);
        share = failures % 2;
        timers.fire(delays.at(-1));
      }
      expect(delays).toEqual([25, 100, 100, 400, 400, 1_600, 1_000, 2_000]);
    });

    test("is closed for good, also while it connects", async () => {
      const server = await serverOf();
      const { store } = storeOf(server);
      await store.close();
      expect(await outcome(store.read([fence]))).toContain("closed");
      const { store: other } = await readyStore(server);
      other.listen(() => {});
      await other.ready();
      const waiting = outcome(other.read([fence]));
      await other.close();
      await other.close();
      expect(await waiting).not.toBe("fulfilled");
      const commands = await commandsOf(server);
      await until(
        async () =>
          String(await commands("CLIENT", "LIST"))
            .trim()
            .split("\n").length === 1,
      );
    });

    test("a report that throws becomes a warning, and a client that cannot be duplicated a link that is down", async () => {
      const server = await serverOf();
      const warned = once(process, "warning");
      const { store } = await readyStore(server, {
        onReport: () => {
          throw new Error("no");
        },
      });
      expect(String((await warned)[0])).toContain("onReport threw: no");
      expect(await outcome(store.read([entry]))).toBe("fulfilled");
      const client = createClient({ url: `redis://127.0.0.1:${server.port}` });
      Object.assign(client, {
        duplicate: () => {
          throw new Error("cannot");
        },
      });
      await using broken = redisStore({ client });
      expect(await outcome(broken.ready())).toContain("cannot");
    });

    test("says what is wrong with an option", () => {
      const client = createClient();
      expect(() => redisStore({} as never)).toThrow(/client/);
      const cluster = createCluster({ rootNodes: [{ url: "redis://127.0.0.1:1" }] });
      expect(() => redisStore({ client: cluster as never })).toThrow(/standalone/);
      expect(() => redisStore({ client, leaseMs: 1 })).toThrow(/leaseMs/);
      expect(() => redisStore({ client, prefix: "\ud800" })).toThrow(/prefix/);
    });
  },
);

function send(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    socket.once("data", () => {
      socket.destroy();
      resolve();
    });
  });
}
