// One of several processes on one Redis: reads and invalidates at random until it is told to stop, then says what it saw. It has two
// caches on its store, a strict and a mirrored one.
import { createClient } from "@redis/client";
import { EventCache } from "../src/index.ts";
import { redisStore } from "../src/redis.ts";
import { plant } from "./redis-planted.ts";
import type { Planted } from "./redis-planted.ts";

export interface WorkerOptions {
  readonly name: string;
  readonly port: number;
  readonly leaseMs: number;
  /** By how much this process's clock is wrong. */
  readonly clockMs: number;
  readonly planted?: Planted;
}

/** Times are milliseconds of the machine's monotonic clock, which its processes share. */
export interface Sighting {
  readonly began: number;
  readonly computed: number;
  readonly covers: readonly string[];
}

export interface Invalidation {
  readonly called: number;
  readonly resolved: number;
  readonly cover: string;
}

export interface CacheReport {
  readonly reads: readonly Sighting[];
  readonly invalidations: readonly Invalidation[];
  readonly emitted: readonly string[];
  readonly heard: readonly string[];
  readonly hits: number;
}

export type Consistency = "strict" | "mirrored";
export type WorkerReport = Readonly<Record<Consistency, CacheReport>>;
/** `quiet`: reads only; so it begins. */
export type WorkerOrder = "quiet" | "busy" | "stop";

const keys = 24;
const tags = 6;
const readers = 6;

class Player {
  readonly #cache: EventCache;
  readonly #reads: Sighting[] = [];
  readonly #invalidations: Invalidation[] = [];
  readonly #emitted: string[] = [];
  readonly #heard: string[] = [];
  order: WorkerOrder = "quiet";

  constructor(consistency: Consistency) {
    this.#cache = new EventCache({
      name: consistency,
      store,
      consistency,
      storeTimeoutMs: 400,
      ttlMs: 600_000,
      now: () => performance.timeOrigin + performance.now() + options.clockMs,
      rules: { agentCreated: ({ agentId }) => [`t${agentId.split(":")[0]}`] },
    });
    this.#cache.bus.on("agentCreated", ({ agentId }) => void this.#heard.push(agentId));
  }

  async play(): Promise<CacheReport> {
    const reading = Array.from({ length: readers }, () => this.#readOn());
    await Promise.all([...reading, this.#peekOn(), this.#invalidateOn()]);
    await pause(100);
    const { hits } = this.#cache.stats();
    await this.#cache.close();
    return {
      reads: this.#reads,
      invalidations: this.#invalidations,
      emitted: this.#emitted,
      heard: this.#heard,
      hits,
    };
  }

  async #readOn(): Promise<void> {
    while (this.order !== "stop") {
      const { key, tag, late, covers } = pickKey();
      const began = time();
      const computed = await this.#cache.getOrSet(
        key,
        async (context) => {
          const now = time();
          await pause(pick(4));
          if (late) context.tag(tag);
          return now;
        },
        late ? {} : { tags: [tag] },
      );
      this.#reads.push({ began, computed, covers });
      if (pick(3) === 0) await pause(1);
    }
  }

  /** What is in memory does not wait for a link that is half open. */
  async #peekOn(): Promise<void> {
    while (this.order !== "stop") {
      const { key, covers } = pickKey();
      const began = time();
      const computed = this.#cache.peek<number>(key);
      if (computed !== undefined) this.#reads.push({ began, computed, covers });
      await pause(1);
    }
  }

  async #invalidateOn(): Promise<void> {
    for (let count = 0; this.order !== "stop"; count++) {
      if (this.order === "busy") await this.#invalidate(count);
      await pause(5 + pick(20));
    }
  }

  async #invalidate(count: number): Promise<void> {
    const called = time();
    const { key, tag } = pickKey();
    const id = `${tag.slice(1)}:${options.name}:${count}`;
    const dice = pick(20);
    const cover = dice === 0 ? "*" : dice < 4 ? key : tag;
    try {
      if (dice === 0) await this.#cache.clear();
      else if (dice < 4) await this.#cache.delete(key);
      else if (dice < 12) await this.#cache.invalidateByTags([tag]);
      else await this.#cache.bus.emit({ type: "agentCreated", agentId: id });
      if (dice >= 12) this.#emitted.push(id);
      this.#invalidations.push({ called, resolved: time(), cover });
    } catch {
      // What rejects has promised nothing to others.
    }
  }
}

const options = JSON.parse(process.argv[2] ?? "") as WorkerOptions;
const owned = redisStore({
  client: createClient({ url: `redis://127.0.0.1:${options.port}` }),
  leaseMs: options.leaseMs,
  connectTimeoutMs: 1_000,
});
const store = plant(owned, options.planted);
const players = { strict: new Player("strict"), mirrored: new Player("mirrored") };
process.on("message", (order: WorkerOrder) => {
  players.strict.order = order;
  players.mirrored.order = order;
});
await owned.ready();
process.send?.("ready");
const [strict, mirrored] = await Promise.all([players.strict.play(), players.mirrored.play()]);
await owned.close();
process.send?.({ strict, mirrored } satisfies WorkerReport, () => process.disconnect());

interface PickedKey {
  readonly key: string;
  readonly tag: string;
  /** Its tag comes out of the compute. */
  readonly late: boolean;
  readonly covers: readonly string[];
}

function pickKey(): PickedKey {
  const number = pick(keys);
  const key = `k${number}`;
  const tag = `t${number % tags}`;
  return { key, tag, late: number % 2 === 1, covers: ["*", tag, key] };
}

function time(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function pick(below: number): number {
  return Math.floor(Math.random() * below);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}
