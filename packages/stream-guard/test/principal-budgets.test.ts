import { describe, expect, test } from "vitest";
import { InvalidArgumentError, MemoryLimitError, StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    maxMemoryBytes: 1000,
    sessionMaxMemoryBytes: 1000,
    principalMaxMemoryBytes: 400,
    now,
    schedule,
    ...options,
  });
  return { guard, time };
}

describe("the budget of a principal", () => {
  test("all its sessions share it, and the refusal says whose it was", () => {
    const { guard } = guardOf();
    const [first, second] = [guard.open({ principal: "ann" }), guard.open({ principal: "ann" })];
    first.reserve(300);
    expect(second.tryReserve(101)).toBe(false);
    expect(() => second.reserve(101)).toThrow(
      expect.objectContaining({ scope: "principal", usedBytes: 300, limitBytes: 400 }),
    );
    second.reserve(100);
    expect(guard.principals()).toEqual([{ principal: "ann", sessions: 2, usedBytes: 400 }]);
    expect(guard.stats()).toMatchObject({
      limited: { session: 0, principal: 1, guard: 0 },
      principals: 1,
      principalLimitBytes: 400,
      principalMostBytes: 400,
    });
  });

  test("closing a session gives its share back, and the last one forgets the principal", async () => {
    const { guard } = guardOf();
    const [first, second] = [guard.open({ principal: "ann" }), guard.open({ principal: "ann" })];
    first.reserve(400);
    await first.close();
    second.reserve(400);
    await second.close();
    expect(guard.principals()).toEqual([]);
    guard.open({ principal: "ann" }).reserve(400);
  });

  test("sessions without a principal have the guard's limit and their own", () => {
    const { guard } = guardOf();
    guard.open().reserve(700);
    guard.open({ principal: "ann" }).reserve(200);
    expect(guard.stats().usedBytes).toBe(900);
  });

  test("by default it is the guard's", () => {
    const guard = new StreamGuard({ maxMemoryBytes: 1000, sessionMaxMemoryBytes: 1000 });
    guard.open({ principal: "ann" }).reserve(1000);
    expect(guard.stats().principalLimitBytes).toBe(1000);
  });

  test("what can never fit into it is refused at once", async () => {
    const { guard } = guardOf();
    const session = guard.open({ principal: "ann" });
    const refused = session.reserveWhenAvailable(401);
    await expect(refused).rejects.toMatchObject({ scope: "principal", limitBytes: 400 });
  });

  test("a wait for it ends with MemoryLimitError of its scope", async () => {
    const { guard, time } = guardOf();
    const session = guard.open({ principal: "ann" });
    guard.open({ principal: "ann" }).reserve(400);
    const waiting = session.reserveWhenAvailable(100, { timeoutMs: 50 });
    time.advance(50);
    const error = await waiting.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MemoryLimitError);
    expect(error).toMatchObject({ scope: "principal" });
  });

  test.each([0, 1.5, 1001])("%s is not a budget", (principalMaxMemoryBytes) => {
    expect(() => guardOf({ principalMaxMemoryBytes })).toThrow(InvalidArgumentError);
  });
});

describe("a principal that has filled its budget", () => {
  test("makes nobody else wait", async () => {
    const { guard } = guardOf();
    const [greedy, more] = [guard.open({ principal: "ann" }), guard.open({ principal: "ann" })];
    const [other, nobodys] = [guard.open({ principal: "bob" }), guard.open()];
    greedy.reserve(400);
    const waiting = [greedy.reserveWhenAvailable(100), more.reserveWhenAvailable(100)];
    await other.reserveWhenAvailable(100);
    await nobodys.reserveWhenAvailable(100);
    expect(guard.stats()).toMatchObject({ usedBytes: 600, waiting: 2 });
    greedy.release(200);
    await Promise.all(waiting);
  });

  test("has nobody closed for its sake, however long the others idle", () => {
    const { guard, time } = guardOf();
    const idle = guard.open({ principal: "bob" });
    idle.reserve(300);
    time.advance(60_000);
    const greedy = guard.open({ principal: "ann" });
    greedy.reserve(400);
    for (let attempt = 0; attempt < 100; attempt += 1) {
      expect(greedy.tryReserve(1)).toBe(false);
      time.advance(500);
    }
    expect(idle.closed).toBe(false);
    expect(guard.stats()).toMatchObject({ level: "elevated", closed: { evicted: 0 } });
  });

  test("has nobody closed for its sake either when what it asks for would not fit the guard", () => {
    const { guard, time } = guardOf();
    const idle = guard.open({ principal: "bob" });
    idle.reserve(300);
    const busy = guard.open({ principal: "carl" });
    busy.reserve(190);
    busy.begin();
    time.advance(60_000);
    const greedy = guard.open({ principal: "ann" });
    greedy.reserve(400);
    expect(greedy.tryReserve(150)).toBe(false);
    expect([guard.stats().usedBytes, idle.closed]).toEqual([890, false]);
  });

  test("waits in its own order: its first is not overtaken by a smaller one of another of its sessions", async () => {
    const { guard } = guardOf();
    const [holder, heavy, light] = [0, 1, 2].map(() => guard.open({ principal: "ann" }));
    const order: string[] = [];
    holder!.reserve(400);
    const waits = [
      heavy!.reserveWhenAvailable(300).then(() => order.push("heavy")),
      light!.reserveWhenAvailable(50).then(() => order.push("light")),
    ];
    holder!.release(100);
    await settle();
    expect(order).toEqual([]);
    holder!.release(200);
    await settle();
    expect(order).toEqual(["heavy"]);
    holder!.release(100);
    await Promise.all(waits);
  });

  test("a wait that is given up makes way for the next of its principal", async () => {
    const { guard, time } = guardOf();
    const [holder, heavy, light] = [0, 1, 2].map(() => guard.open({ principal: "ann" }));
    holder!.reserve(350);
    const given = heavy!.reserveWhenAvailable(300, { timeoutMs: 10 });
    const next = light!.reserveWhenAvailable(50);
    time.advance(10);
    await expect(given).rejects.toThrow(MemoryLimitError);
    await next;
  });
});

describe("turns at the guard's room", () => {
  test("are taken by principals, not by sessions: twenty sessions of one take no more than one of another", async () => {
    const { guard } = guardOf({ principalMaxMemoryBytes: 1000 });
    const holder = guard.open({ principal: "holder" });
    const many = Array.from({ length: 20 }, () => guard.open({ principal: "ann" }));
    const [bob, carl] = [guard.open({ principal: "bob" }), guard.open()];
    for (const session of [...many, bob, carl]) session.reserve(1);
    holder.reserve(978);
    const order: string[] = [];
    const wait = (session: typeof bob, name: string): Promise<unknown> =>
      session.reserveWhenAvailable(10).then(() => order.push(name));
    const waits = many.map((session) => wait(session, "ann"));
    for (const name of ["bob", "bob"]) waits.push(wait(bob, name));
    for (const name of ["carl", "carl"]) waits.push(wait(carl, name));
    await settle();
    expect(order).toEqual([]);
    for (let step = 0; step < 24; step += 1) {
      holder.release(10);
      await settle();
    }
    await Promise.all(waits);
    expect(order.slice(0, 6)).toEqual(["ann", "bob", "carl", "ann", "bob", "carl"]);
    expect(order.slice(6)).toEqual(Array.from({ length: 18 }, () => "ann"));
  });

  test("streams take theirs too: small chunks do not overtake a large one that waits", async () => {
    const { guard } = guardOf({ principalMaxMemoryBytes: 1000 });
    const [holder, heavy, light] = [guard.open(), guard.open(), guard.open()];
    holder.reserve(800);
    heavy.begin();
    const large = heavy.reserveWhenAvailable(300);
    const batches = light.pipe(
      (async function* () {
        for (;;) yield new Uint8Array(10);
      })(),
    );
    const small = batches.next();
    await settle();
    expect(guard.stats()).toMatchObject({ usedBytes: 800, waiting: 2 });
    holder.release(110);
    await Promise.all([large, small]);
    expect(guard.stats().usedBytes).toBe(1000);
  });

  test("of a principal that waits for its own room are kept, but nobody waits for them", async () => {
    const { guard } = guardOf({ principalMaxMemoryBytes: 600 });
    const [ann, holder, bob] = [
      guard.open({ principal: "ann" }),
      guard.open({ principal: "holder" }),
      guard.open({ principal: "bob" }),
    ];
    ann.reserve(500);
    holder.reserve(400);
    bob.reserve(50);
    const order: string[] = [];
    const own = ann.reserveWhenAvailable(150).then(() => order.push("ann"));
    const others = bob.reserveWhenAvailable(60).then(() => order.push("bob"));
    await settle();
    expect(order).toEqual([]);
    holder.release(100);
    await others;
    expect(order).toEqual(["bob"]);
    ann.release(100);
    await own;
    expect(order).toEqual(["bob", "ann"]);
  });
});
