import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { EventCache } from "../src/index.ts";
import type { RedisStore, RedisStoreOptions } from "../src/redis.ts";
import type { Planted } from "./redis-planted.ts";
import { plant } from "./redis-planted.ts";
import type { Commands, StoreInTest } from "./redis-support.ts";
import {
  commandsOf,
  hasRedis,
  move,
  outcome,
  readyStore,
  serverOf,
  until,
} from "./redis-support.ts";

const fence = "app:f:t:agents";

class Server {
  readonly port: number;
  readonly commands: Commands;

  static async start(): Promise<Server> {
    const server = await serverOf({ args: ["--repl-diskless-sync-delay", "0"] });
    return new Server(server, await commandsOf(server));
  }

  private constructor(server: { readonly port: number }, commands: Commands) {
    this.port = server.port;
    this.commands = commands;
  }

  async follow(primary: Server): Promise<void> {
    await this.commands("REPLICAOF", "127.0.0.1", String(primary.port));
    await until(async () =>
      /master_link_status:up/.test(String(await this.commands("INFO", "replication"))),
    );
  }

  async offset(): Promise<string | undefined> {
    const text = String(await this.commands("INFO", "replication"));
    return /^master_repl_offset:(\d+)/m.exec(text)?.[1];
  }

  async lead(): Promise<void> {
    await this.commands("REPLICAOF", "NO", "ONE");
  }
}

/** A primary with a replica that has everything, from before the store connected. */
async function pair(): Promise<readonly [primary: Server, replica: Server]> {
  const [primary, replica] = await Promise.all([Server.start(), Server.start()]);
  await replica.follow(primary);
  return [primary, replica];
}

/** The replica takes over; what the old primary is told from now on is lost, though it confirms it. */
async function partition(primary: Server, replica: Server): Promise<void> {
  await until(async () => (await primary.offset()) === (await replica.offset()));
  await replica.lead();
}

/** The old primary is a replica for as long as it takes to lose what it has, and a primary again. Its process goes on. */
async function failBack(primary: Server, replica: Server): Promise<void> {
  await primary.follow(replica);
  await primary.lead();
}

/** Does not notice by itself, nor loses its connection. */
const inattentive: Partial<RedisStoreOptions> = { leaseMs: 60_000 };

interface Gate {
  readonly port: number;
  /** What comes with a question for the history, and before it, passes; the question does not. */
  holdQuestions(): void;
  held(): Promise<void>;
  pass(): void;
}

async function gateTo(server: Server): Promise<Gate> {
  let holding = false;
  let kept: (() => void)[] = [];
  const gate = createServer((near) => {
    const far = connect(server.port, "127.0.0.1");
    far.setNoDelay(true).pipe(near);
    near.on("data", (chunk) => {
      const at = holding ? chunk.indexOf("*2\r\n$4\r\nINFO") : -1;
      far.write(at < 0 ? chunk : chunk.subarray(0, at));
      if (at >= 0) kept.push(() => far.write(chunk.subarray(at)));
    });
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const)
      end.on("error", () => {}).on("close", () => other.destroy());
  });
  await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void gate.close());
  return {
    port: (gate.address() as AddressInfo).port,
    holdQuestions: () => void (holding = true),
    held: () => until(() => kept.length > 0),
    pass() {
      holding = false;
      for (const send of kept) send();
      kept = [];
    },
  };
}

async function answered(store: RedisStore): Promise<void> {
  await until(async () => (await outcome(store.read([fence]))) === "fulfilled");
}

interface CacheInTest extends StoreInTest {
  readonly cache: EventCache;
  /** Computes what `source` is. */
  readonly read: () => Promise<string>;
  source: string;
}

async function cacheOn(server: Server, planted?: Planted, leaseMs = 60_000): Promise<CacheInTest> {
  const made = await readyStore(server, { leaseMs });
  const cache = new EventCache({ store: plant(made.store, planted), ttlMs: 600_000 });
  onTestFinished(() => cache.close());
  const inTest: CacheInTest = {
    ...made,
    cache,
    source: "old",
    read: () => cache.getOrSet("k", () => inTest.source, { tags: ["t"] }),
  };
  expect(await inTest.read()).toBe("old");
  return inTest;
}

describe.skipIf(!hasRedis("Redis failover"))(
  "a store in Redis that fails over",
  { timeout: 30_000 },
  () => {
    test("no fence comes back when the old primary is one again, without what it confirmed last", async () => {
      const [primary, replica] = await pair();
      const idle = await readyStore(primary, inattentive);
      const watching = await readyStore(primary, { leaseMs: 100 });
      const saved = await move(idle.store, fence);
      await partition(primary, replica);
      const lost = [await move(idle.store, fence), await move(watching.store, fence)];
      await primary.follow(replica);
      await until(() => watching.reports.at(-1)?.type === "down");
      await primary.lead();
      await Promise.all([answered(idle.store), answered(watching.store)]);
      const [restored] = await watching.store.read([fence]);
      expect(restored).toBeDefined();
      expect(await idle.store.read([fence])).toEqual([restored]);
      const moved = [await move(watching.store, fence), await move(idle.store, fence)];
      expect(await watching.store.read([fence])).toEqual([moved[1]]);
      expect(new Set([saved, ...lost, restored, ...moved]).size).toBe(6);
    });

    test.each([60_000, 150])(
      "a strict read sees an invalidation that the failover lost; lease %i ms",
      async (leaseMs) => {
        expect(await readAfterFailback(undefined, leaseMs)).toBe("new");
      },
    );

    test("a mistake is noticed: fences told apart by the server's process alone", async () => {
      expect(await readAfterFailback("fences outlive a failback", 150)).toBe("old");
    });

    test("no strict read is answered by a primary that was demoted and has lost an invalidation", async () => {
      const [primary, replica] = await pair();
      const inTest = await cacheOn(primary);
      await partition(primary, replica);
      inTest.source = "new";
      await inTest.cache.invalidateByTags(["t"]);
      await primary.follow(replica);
      expect(await inTest.read()).toBe("new");
      expect(inTest.reports.at(-1)?.type).toBe("down");
    });

    test("a move is not confirmed for a history that it was not asked for, and is when it is tried again", async () => {
      const [primary, replica] = await pair();
      const { store } = await readyStore(primary, inattentive);
      const before = await move(store, fence);
      await failBack(primary, replica);
      expect(await outcome(move(store, fence))).toContain("history");
      await answered(store);
      const after = await move(store, fence);
      expect(after).not.toBe(before);
      expect(await store.read([fence])).toEqual([after]);
    });

    test("a reply is not believed when the history changed between it and the question", async () => {
      const [primary, replica] = await pair();
      const gate = await gateTo(primary);
      const { store } = await readyStore(gate, inattentive);
      await move(store, fence);
      gate.holdQuestions();
      for (const ask of [() => store.read([fence]), () => move(store, fence)]) {
        const asking = outcome(ask());
        await gate.held();
        await failBack(primary, replica);
        gate.pass();
        expect(await asking).toContain("history");
        await answered(store);
        gate.holdQuestions();
      }
      gate.pass();
      await answered(store);
    });

    test("when the first replica comes, what was cached is computed anew", async () => {
      const [primary, replica] = await Promise.all([Server.start(), Server.start()]);
      const inTest = await cacheOn(primary);
      inTest.source = "new";
      expect(await inTest.read()).toBe("old");
      await replica.follow(primary);
      expect(await inTest.read()).toBe("new");
      await answered(inTest.store);
      inTest.source = "newer";
      expect(await inTest.read()).toBe("newer");
      inTest.source = "newest";
      expect(await inTest.read()).toBe("newer");
    });
  },
);

async function readAfterFailback(planted: Planted | undefined, leaseMs: number): Promise<string> {
  const [primary, replica] = await pair();
  const inTest = await cacheOn(primary, planted, leaseMs);
  await partition(primary, replica);
  inTest.source = "new";
  await inTest.cache.invalidateByTags(["t"]);
  await primary.follow(replica);
  // With a short lease the heartbeat notices; otherwise nothing does before the read.
  if (leaseMs < 1_000) await until(() => inTest.reports.at(-1)?.type === "down");
  await primary.lead();
  if (leaseMs < 1_000) await answered(inTest.store);
  return inTest.read();
}
