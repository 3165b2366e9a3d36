import { describe, expect, test } from "vitest";
import type { RedisStore } from "../src/redis.ts";
import {
  commandsOf,
  hasRedis,
  move,
  proxyOf,
  readyStore,
  serverOf,
  storeOf,
  until,
} from "./redis-support.ts";
import type { StoreInTest } from "./redis-support.ts";
import { deferred } from "./support.ts";

const fence = "app:f:t:agents";
const stream = "cache-events:events";

interface Hearing extends StoreInTest {
  readonly heard: string[];
}

async function hearing(...args: Parameters<typeof storeOf>): Promise<Hearing> {
  const made = storeOf(...args);
  const heard: string[] = [];
  made.store.listen((event) => void heard.push(event));
  await made.store.ready();
  return { ...made, heard };
}

function gaps({ reports }: StoreInTest): number {
  return reports.filter(({ type }) => type === "gap").length;
}

async function emit(store: RedisStore, from: number, to: number): Promise<string[]> {
  const events = Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
  await Promise.all(events.map((event) => move(store, fence, event)));
  return events;
}

describe.skipIf(!hasRedis("Redis events"))("events between the stores of several processes", () => {
  test("are heard once each and in order by the others, not by the one that emits", async () => {
    const server = await serverOf();
    const all = await Promise.all([hearing(server), hearing(server), hearing(server)]);
    const [first, ...others] = all;
    const events = await emit(first.store, 1, 500);
    await until(() => others.every(({ heard }) => heard.length >= events.length));
    for (const { heard } of others) expect(heard).toEqual(events);
    await move(others[0].store, fence, "after");
    await until(() => first.heard.length > 0);
    expect(first.heard).toEqual(["after"]);
    expect(all.map(gaps)).toEqual([0, 0, 0]);
  });

  test("that were emitted before somebody listened are history", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    await emit(store, 1, 3);
    const there = await hearing(server);
    await emit(store, 4, 4);
    await until(() => there.heard.length > 0);
    expect(there.heard).toEqual(["4"]);
    expect(gaps(there)).toBe(0);
  });

  test("travel without a fence, too", async () => {
    const server = await serverOf();
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(server)]);
    await store.moveFences([], { first: [], lifetimeMs: 1_000, event: "bare" });
    await until(() => there.heard.length > 0);
    expect(there.heard).toEqual(["bare"]);
  });

  test("are heard after the mirror has forgotten what they moved, though the news of it come over another connection", async () => {
    const server = await serverOf();
    const proxy = await proxyOf(server);
    const { store } = await readyStore(server);
    const there = storeOf(proxy);
    await there.store.ready();
    await move(store, fence);
    await until(async () => {
      await there.store.read([fence]);
      return there.store.mirror.valueOf(fence) !== undefined;
    });
    // The connection of the fences is slow now; the one of the events is not.
    proxy.set("held");
    const knownThen: (string | undefined)[] = [];
    proxy.onConnection = "pass";
    there.store.listen(() => knownThen.push(there.store.mirror.valueOf(fence)));
    await until(async () =>
      ((await (await commandsOf(server))("CLIENT", "LIST")) as string).includes("cmd=xread"),
    );
    await move(store, fence, "event");
    await until(() => knownThen.length > 0);
    expect(knownThen).toEqual([undefined]);
  });

  test("are all heard after the link was cut, when the stream still has them", async () => {
    const server = await serverOf();
    const proxy = await proxyOf(server);
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(proxy)]);
    const before = await emit(store, 1, 3);
    await until(() => there.heard.length === 3);
    proxy.set("cut");
    const meanwhile = await emit(store, 4, 20);
    proxy.set("pass");
    await until(() => there.heard.length >= 20);
    expect(there.heard).toEqual([...before, ...meanwhile]);
    expect(gaps(there)).toBe(0);
  });

  test("leave a gap, and an empty mirror, when the stream was trimmed meanwhile", async () => {
    const server = await serverOf();
    const proxy = await proxyOf(server);
    const [{ store }, there] = await Promise.all([
      readyStore(server, { maxEvents: 10 }),
      hearing(proxy),
    ]);
    await emit(store, 1, 1);
    await until(() => there.heard.length === 1);
    proxy.set("cut");
    await emit(store, 2, 400);
    proxy.set("pass");
    await until(() => there.heard.at(-1) === "400");
    expect(gaps(there)).toBe(1);
    expect(there.heard.length).toBeLessThan(300);
  });

  test("leave a gap when the stream is lost, and are heard again from then on", async () => {
    const server = await serverOf();
    const commands = await commandsOf(server);
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(server)]);
    await emit(store, 1, 1);
    await until(() => there.heard.length === 1);
    const version = there.store.mirror.version();
    await commands("FLUSHALL");
    await emit(store, 2, 2);
    await until(() => there.heard.length === 2);
    expect(gaps(there)).toBe(1);
    expect(there.store.mirror.version()).not.toBe(version);
    await commands("DEL", stream);
    await until(() => gaps(there) === 2);
    await emit(store, 3, 3);
    await until(() => there.heard.length === 3);
    expect(there.heard).toEqual(["1", "2", "3"]);
    expect(gaps(there)).toBe(2);
  });

  test("leave a gap when the stream begins anew at an earlier time", async () => {
    const server = await serverOf();
    const commands = await commandsOf(server);
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(server)]);
    await emit(store, 1, 1);
    await until(() => there.heard.length === 1);
    const fields = ["n", "7", "o", "x", "f", "[]", "e", "early"];
    await commands("MULTI");
    await commands("DEL", stream);
    await commands("XADD", stream, "1-1", ...fields);
    await commands("EXEC");
    await until(() => gaps(there) === 1);
    await commands("XADD", stream, "2-1", "n", "8", "o", "x", "f", "[]", "e", "next");
    await until(() => there.heard.length === 2);
    expect(there.heard).toEqual(["1", "next"]);
  });

  test("leave a gap for what is not ours in the stream, and go on after it", async () => {
    const server = await serverOf();
    const commands = await commandsOf(server);
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(server)]);
    await emit(store, 1, 1);
    await commands("XADD", stream, "*", "foreign", "entry");
    await emit(store, 2, 3);
    await until(() => there.heard.length === 3);
    expect(there.heard).toEqual(["1", "2", "3"]);
    expect(gaps(there)).toBe(1);
  });

  test("are heard again after a restart that lost everything, with one gap", async () => {
    const server = await serverOf();
    const [{ store }, there] = await Promise.all([readyStore(server), hearing(server)]);
    await emit(store, 1, 2);
    await until(() => there.heard.length === 2);
    await server.kill();
    await server.start();
    await until(() => gaps(there) === 1);
    await until(async () => {
      await emit(store, 3, 3).catch(() => {});
      return there.heard.at(-1) === "3";
    });
    expect(gaps(there)).toBe(1);
  });

  test("wait in Redis, not in the process, while a listener is busy", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const there = storeOf(server);
    const busy = deferred<void>();
    let heard = 0;
    there.store.listen(() => {
      heard++;
      return busy.promise;
    });
    await there.store.ready();
    await emit(store, 1, 1_000);
    await until(() => heard > 0);
    const commands = await commandsOf(server);
    await until(async () => !String(await commands("CLIENT", "LIST")).includes("flags=b"));
    expect(heard).toBeLessThanOrEqual(100);
    busy.resolve();
    await until(() => heard === 1_000);
    expect(gaps(there)).toBe(0);
  });

  test("a half-open link is given up and replaced", async () => {
    const server = await serverOf();
    const proxy = await proxyOf(server);
    const { store } = await readyStore(server);
    const there = await hearing(proxy, { leaseMs: 100, connectTimeoutMs: 100 });
    proxy.set("half-open");
    const events = await emit(store, 1, 5);
    await until(() =>
      there.reports.some((report) => report.type === "down" && report.link === "events"),
    );
    proxy.set("pass");
    await until(() => there.heard.length === events.length);
    expect(there.heard).toEqual(events);
  });

  test("a listener that throws disturbs nobody, and one that left hears nothing", async () => {
    const server = await serverOf();
    const { store } = await readyStore(server);
    const there = storeOf(server);
    const warnings: string[] = [];
    const note = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", note);
    const heard: string[] = [];
    const leaving = there.store.listen((event) => void heard.push(`left ${event}`));
    there.store.listen(() => {
      throw new Error("no");
    });
    there.store.listen((event) => void heard.push(event));
    await there.store.ready();
    leaving[Symbol.dispose]();
    await emit(store, 1, 1);
    await until(() => heard.length > 0 && warnings.length > 0);
    process.off("warning", note);
    expect(heard).toEqual(["1"]);
    expect(warnings).toEqual(["a listener of the store's events threw: no"]);
  });
});
