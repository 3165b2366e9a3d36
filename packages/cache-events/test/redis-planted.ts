import type { FenceMirror, SharedStore } from "../src/index.ts";
import { isFence } from "../src/index.ts";
import type { RedisStore } from "../src/redis.ts";

/** A mistake put in on purpose: the suite must notice it. */
export type Planted = keyof typeof plants;

type Breaks = (sound: RedisStore) => Partial<SharedStore>;

const plants = {
  "fences never move": (sound) => changing(sound, () => "same"),
  "fences outlive the server": (sound) =>
    changing(sound, (value) => value.slice(value.indexOf(".") + 1)),
  "fences outlive a failback": (sound) =>
    changing(sound, (value) => value.slice(0, 12) + value.slice(value.indexOf("."))),
  "pushes are lost": deaf,
  "the lease is forgotten": (sound) => ({ mirror: leaseless(sound.mirror) }),
} satisfies Readonly<Record<string, Breaks>>;

export function plant(sound: RedisStore, planted: Planted | undefined): SharedStore {
  if (planted === undefined) return sound;
  const { mirror, listen } = sound;
  return {
    read: (keys) => sound.read(keys),
    write: (entries) => sound.write(entries),
    remove: (key) => sound.remove(key),
    moveFences: (keys, options) => sound.moveFences(keys, options),
    mirror,
    listen,
    ...plants[planted](sound),
  };
}

function changing(sound: RedisStore, change: (value: string) => string): Partial<SharedStore> {
  return {
    read: async (keys) =>
      (await sound.read(keys)).map((value, index) =>
        value !== undefined && isFence(keys[index] ?? "") ? change(value) : value,
      ),
    moveFences: async (keys, options) => {
      const moved = await sound.moveFences(keys, options);
      return new Map([...moved].map(([fence, value]) => [fence, change(value)]));
    },
  };
}

function deaf(sound: RedisStore): Partial<SharedStore> {
  const known = new Map<string, string>();
  return {
    read: async (keys) => {
      const found = await sound.read(keys);
      for (const [index, key] of keys.entries()) known.set(key, found[index] ?? "");
      return found;
    },
    mirror: { strict: false, version: () => 1, valueOf: (fence) => known.get(fence) },
  };
}

function leaseless(sound: FenceMirror): FenceMirror {
  let last: number | undefined;
  const version = (): number | undefined => {
    last = sound.version() ?? last;
    return last;
  };
  return { strict: false, version, valueOf: (fence) => sound.valueOf(fence) };
}
