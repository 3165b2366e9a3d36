import type { CacheNeed } from "./cache-under-test.ts";
import { RaceError } from "./errors.ts";
import type { Flight, Scene } from "./scene.ts";
import { sceneEntries, sceneTtlMs } from "./scene.ts";
import type { Cut, Target } from "./witness.ts";
import { targetOf } from "./witness.ts";

export interface Case {
  readonly name: string;
  readonly needs: readonly CacheNeed[];
  readonly play: (scene: Scene) => Promise<void>;
}

const target = targetOf({ key: "a:1", tags: ["red", "green"], prefixes: ["a:"] });
const other = targetOf({ key: "b:1", tags: ["blue"] });
const late = targetOf({ key: "c:1", tags: ["red"], lateTags: ["late"] });

interface NamedCut {
  readonly name: string;
  readonly needs: readonly CacheNeed[];
  readonly cut: Cut;
}

/** Every way to invalidate `target`. */
const cuts: readonly NamedCut[] = [
  { name: "its first tag", needs: [], cut: { kind: "tags", tags: ["red"] } },
  { name: "its last tag", needs: [], cut: { kind: "tags", tags: ["green"] } },
  {
    name: "one of its tags among others",
    needs: [],
    cut: { kind: "tags", tags: ["unknown", "blue", "green"] },
  },
  { name: "its key", needs: ["delete"], cut: { kind: "delete", target } },
  { name: "a set of its key", needs: ["set"], cut: { kind: "set", target } },
  { name: "its prefix", needs: ["clearPrefix"], cut: { kind: "clearPrefix", prefix: "a:" } },
  {
    name: "its namespace",
    needs: ["clearNamespace"],
    cut: { kind: "clearNamespace", namespace: "" },
  },
  { name: "everything", needs: ["clear"], cut: { kind: "clear" } },
  { name: "a write to its tag", needs: ["write"], cut: { kind: "write", tags: ["red"] } },
];

interface Script {
  readonly name: string;
  play(scene: Scene, cut: Cut): Promise<void>;
}

/** What may happen around one invalidation of `target`. */
const scripts: readonly Script[] = [
  {
    name: "is heeded when it comes after the compute",
    async play(scene, cut) {
      await scene.read(target);
      await scene.look(target);
      await scene.cut(cut);
      await scene.look(target);
    },
  },
  {
    name: "is heeded when the compute began before it and lands after it",
    async play(scene, cut) {
      const flight = await scene.flight(target);
      await scene.cut(cut);
      await flight.finish();
      await scene.look(target);
    },
  },
  {
    name: "is heeded when a compute that replaces an entry began before it and lands after it",
    async play(scene, cut) {
      await scene.read(target);
      await scene.cut(cut);
      const flight = await scene.flight(target);
      await scene.cut(cut);
      await flight.finish();
      await scene.look(target);
    },
  },
  {
    name: "parts a later reader from the compute that began before it",
    async play(scene, cut) {
      const flight = await scene.flight(target);
      await scene.cut(cut);
      const joiner = await scene.flight(target);
      await flight.finish();
      await scene.look(target);
      await joiner.finish();
      await scene.look(target);
    },
  },
  {
    name: "parts a later reader from the compute, also between invalidations of other things",
    async play(scene, cut) {
      await noise(scene);
      const flight = await scene.flight(target);
      await noise(scene);
      await scene.cut(cut);
      await noise(scene);
      const joiner = await scene.flight(target);
      await flight.finish();
      await joiner.finish();
      await scene.look(target);
    },
  },
  {
    name: "is heeded when the older compute lands last",
    async play(scene, cut) {
      const older = await scene.flight(target);
      await scene.cut(cut);
      const newer = await scene.flight(target);
      await newer.finish();
      await older.finish();
      await scene.look(target);
    },
  },
  {
    name: "is heeded by three generations of computes that land newest first",
    async play(scene, cut) {
      const flights: Flight[] = [];
      for (let generation = 0; generation < 3; generation++) {
        flights.push(await scene.flight(target), await scene.flight(target, 1));
        await scene.cut(cut);
      }
      for (const flight of flights.toReversed()) {
        await flight.finish();
        await scene.look(target);
      }
    },
  },
  {
    name: "is heeded when the compute that began before it fails",
    async play(scene, cut) {
      await scene.read(target);
      await scene.cut(cut);
      const flight = await scene.flight(target);
      await scene.cut(cut);
      const joiner = await scene.flight(target);
      await flight.fail();
      await joiner.finish();
      await scene.look(target);
    },
  },
  {
    name: "is heeded when entries that share its tags were evicted in between",
    async play(scene, cut) {
      const sharing = targetOf({ key: "d:1", tags: ["red", "green"] });
      await scene.read(sharing);
      await scene.read(target);
      const flight = await scene.flight(targetOf({ ...sharing, key: "d:2" }));
      await crowd(scene, "before");
      await scene.cut(cut);
      await crowd(scene, "after");
      await flight.finish();
      await scene.look(target);
      if (cut.kind === "tags") await scene.look(targetOf({ ...sharing, key: "d:2" }));
    },
  },
];

const alone: readonly Case[] = [
  {
    name: "a value that nothing invalidated comes from the cache",
    needs: [],
    async play(scene) {
      await scene.read(target);
      await scene.settle();
      await scene.cut({ kind: "tags", tags: ["unknown"] });
      const before = scene.hits;
      await scene.read(target);
      if (scene.hits === before)
        throw new RaceError("expected the second read to be a hit, but its compute was called");
    },
  },
  {
    name: "keys and namespaces that look alike are kept apart",
    needs: ["namespaces"],
    async play(scene) {
      const places = [
        { key: "a:b" },
        { key: "b", namespace: "a" },
        { key: "b", namespace: "a:" },
        { key: ":b", namespace: "a" },
        { key: "a", namespace: "b" },
        { key: "a:b", namespace: "a" },
        { key: "b", namespace: "a:a" },
        { key: "__proto__", namespace: "constructor" },
        { key: "constructor", namespace: "__proto__" },
      ];
      for (const place of [...places, ...places]) await scene.look(targetOf(place));
    },
  },
  {
    name: "keys and tags of any letters are kept apart",
    needs: [],
    async play(scene) {
      const names = ["x", "x*", "*", "x,y", "x y", "ünï", "👍", "__proto__", "{x}", "x:", "%00"];
      const targets = names.map((name) => targetOf({ key: name, tags: [name] }));
      for (const one of targets) await scene.read(one);
      for (const name of names) {
        await scene.cut({ kind: "tags", tags: [name] });
        for (const one of targets) await scene.look(one);
      }
    },
  },
  {
    name: "a set value falls to its tags",
    needs: ["set"],
    async play(scene) {
      await scene.cut({ kind: "set", target });
      await scene.look(target);
      await scene.cut({ kind: "tags", tags: ["green"] });
      await scene.look(target);
      await scene.cut({ kind: "set", target });
      await scene.cut({ kind: "set", target });
      await scene.look(target);
    },
  },
  {
    name: "what was computed during a write is invalid after it",
    needs: ["write"],
    async play(scene) {
      const mutate = async (): Promise<void> => {
        await scene.read(target);
        await scene.look(target);
      };
      const flight = await scene.flight(other);
      await scene.cut({ kind: "write", tags: ["red", "blue"], mutate });
      await flight.finish();
      await scene.look(target);
      await scene.look(other);
    },
  },
  {
    name: "a reader that leaves does not bring back what was invalidated",
    needs: ["signal"],
    async play(scene) {
      const first = await scene.flight(target);
      const second = await scene.flight(target);
      await scene.cut({ kind: "tags", tags: ["red"] });
      const third = await scene.flight(target);
      await first.leave();
      await scene.look(target);
      await second.leave();
      await third.finish();
      await scene.look(target);
    },
  },
  {
    name: "an invalidation of a tag counts that the compute names after it",
    needs: ["lateTags"],
    async play(scene) {
      const flight = await scene.flight(late);
      await scene.cut({ kind: "tags", tags: ["late"] });
      await flight.finish();
      await scene.look(late);
      await scene.cut({ kind: "tags", tags: ["late"] });
      await scene.look(late);
    },
  },
  {
    name: "a reader that joined does not get what a tag named later had invalidated",
    needs: ["lateTags"],
    async play(scene) {
      const flight = await scene.flight(late);
      await scene.cut({ kind: "tags", tags: ["late"] });
      const joiner = await scene.flight(late);
      await noise(scene);
      const last = await scene.flight(late);
      await flight.finish();
      await joiner.finish();
      await last.finish();
      await scene.look(late);
    },
  },
  {
    name: "an invalidation of a tag named late counts when nothing else refers to the tag",
    needs: ["lateTags"],
    async play(scene) {
      const holder = targetOf({ key: "e:1", tags: ["late"] });
      await scene.read(holder);
      const flight = await scene.flight(late);
      await scene.cut({ kind: "tags", tags: ["late"] });
      await scene.read(holder);
      await crowd(scene, "late");
      await flight.finish();
      await scene.look(late);
    },
  },
  {
    name: "namespaces are cleared one at a time and in full",
    needs: ["namespaces", "clearNamespace"],
    async play(scene) {
      const inside = targetOf({ key: "a:1", namespace: "tenant", tags: ["red"] });
      await scene.read(target);
      await scene.read(inside);
      const flight = await scene.flight(targetOf({ key: "a:2", namespace: "tenant" }));
      await scene.cut({ kind: "clearNamespace", namespace: "tenant" });
      await flight.finish();
      await scene.look(inside);
      await scene.look(targetOf({ key: "a:2", namespace: "tenant" }));
      await scene.look(target);
    },
  },
  {
    name: "a stale value is not served across an invalidation",
    needs: ["staleWhileRevalidate"],
    async play(scene) {
      await scene.read(target);
      scene.nowMs += 2 * sceneTtlMs;
      await scene.cut({ kind: "tags", tags: ["red"] });
      await scene.look(target);
    },
  },
  {
    name: "a refresh that began before an invalidation is neither stored nor shared",
    needs: ["staleWhileRevalidate"],
    async play(scene) {
      await scene.read(target);
      scene.nowMs += 2 * sceneTtlMs;
      const refresh = await scene.flight(target);
      await scene.cut({ kind: "tags", tags: ["red"] });
      const joiner = await scene.flight(target);
      await refresh.finish();
      await scene.look(target);
      await joiner.finish();
      scene.nowMs += 2 * sceneTtlMs;
      await scene.look(target);
    },
  },
  {
    name: "a stale value does not stand in for a failed compute across an invalidation",
    needs: ["staleWhileRevalidate"],
    async play(scene) {
      await scene.read(target);
      scene.nowMs += 2 * sceneTtlMs;
      await scene.cut({ kind: "tags", tags: ["green"] });
      const flight = await scene.flight(target);
      await flight.fail();
      await scene.look(target);
    },
  },
];

export const cases: readonly Case[] = [
  ...alone,
  ...scripts.flatMap((script) =>
    cuts.map(({ name, needs, cut }) => ({
      name: `invalidating ${name} ${script.name}`,
      needs,
      play: (scene: Scene) => script.play(scene, cut),
    })),
  ),
];

/** Invalidations that do not concern `target`. */
async function noise(scene: Scene): Promise<void> {
  await scene.cut({ kind: "tags", tags: ["blue"] });
  await scene.cut({ kind: "tags", tags: ["unknown"] });
}

/** More entries than are to be kept. */
async function crowd(scene: Scene, name: string): Promise<void> {
  const newcomers: Target[] = Array.from({ length: 3 * sceneEntries }, (_, index) =>
    targetOf({ key: `crowd:${name}:${index}`, tags: [`crowd:${index}`] }),
  );
  for (const one of newcomers) await scene.read(one);
}
