import type { CacheUnderTest, KnownEntry } from "./cache-under-test.ts";
import { has } from "./cache-under-test.ts";
import type { Weighted } from "./random.ts";
import { pick, weighted } from "./random.ts";
import type { Cut, Target } from "./witness.ts";
import { targetOf } from "./witness.ts";

export type Operation =
  | { readonly kind: "read" | "get" | "peek"; readonly target: Target }
  | { readonly kind: "disturb" }
  | { readonly kind: "cut"; readonly cut: Cut };

type Choice = (random: () => number) => Operation;

const tags = ["red", "green", "blue", "white"] as const;
const namespace = "tenant";
const prefix = "even:";
/** How many of its tags the readers of a key declare, where it is not all; the compute names the rest. */
const declaredTags: Readonly<Record<number, number>> = { 0: 0, 3: 1, 5: 1 };

/** Few keys with many tags, many invalidations, and no two kinds of them left out: harsher than any use. */
export class Workload {
  readonly #random: () => number;
  readonly #choices: readonly Weighted<Choice>[];

  constructor(cache: CacheUnderTest, random: () => number) {
    this.#random = random;
    const targets = targetsFor(cache);
    // The first few are used most, for there must be many readers of a key to meet.
    const target = (of: () => number): Target => pick(() => of() ** 3, targets);
    const choices: readonly (Weighted<Choice> & { readonly if?: boolean })[] = [
      { weight: 80, item: (of) => ({ kind: "read", target: target(of) }) },
      { weight: 6, item: (of) => ({ kind: "get", target: target(of) }), if: has(cache, "get") },
      { weight: 6, item: (of) => ({ kind: "peek", target: target(of) }), if: has(cache, "peek") },
      { weight: 6, item: () => ({ kind: "disturb" }), if: cache.disturb !== undefined },
      { weight: 8, item: cut((of) => ({ kind: "tags", tags: [pick(of, tags)] })) },
      {
        weight: 1,
        item: cut((of) => ({ kind: "tags", tags: [pick(of, tags), pick(of, tags)] })),
      },
      {
        weight: 1,
        item: cut((of) => ({ kind: "write", tags: [pick(of, tags)] })),
        if: has(cache, "write"),
      },
      {
        weight: 3,
        item: cut((of) => ({ kind: "delete", target: target(of) })),
        if: has(cache, "delete"),
      },
      {
        weight: 2,
        item: cut((of) => ({ kind: "set", target: target(of) })),
        if: has(cache, "set"),
      },
      {
        weight: 1,
        item: cut(() => ({ kind: "clearPrefix", prefix })),
        if: has(cache, "clearPrefix"),
      },
      {
        weight: 1,
        item: cut((of) => ({ kind: "clearNamespace", namespace: pick(of, ["", namespace]) })),
        if: has(cache, "clearNamespace"),
      },
      { weight: 1, item: cut(() => ({ kind: "clear" })), if: has(cache, "clear") },
    ];
    this.#choices = choices.filter((choice) => choice.if !== false);
  }

  next(): Operation {
    return weighted(this.#random, this.#choices)(this.#random);
  }
}

function cut(make: (random: () => number) => Cut): Choice {
  return (random) => ({ kind: "cut", cut: make(random) });
}

const size = 8;

/** Every key with all its tags, whoever names them. */
export const workloadEntries: readonly KnownEntry[] = Array.from({ length: size }, (_, index) => ({
  key: keyAt(index),
  tags: tagsAt(index),
}));

function targetsFor(cache: CacheUnderTest): readonly Target[] {
  const spaces = has(cache, "namespaces") ? [undefined, namespace] : [undefined];
  return spaces.flatMap((space) =>
    Array.from({ length: size }, (_, index) => {
      const all = tagsAt(index);
      const declared = has(cache, "lateTags") ? (declaredTags[index] ?? all.length) : all.length;
      const key = keyAt(index);
      return targetOf({
        key,
        namespace: space,
        tags: all.slice(0, declared),
        lateTags: all.slice(declared),
        prefixes: key.startsWith(prefix) ? [prefix] : [],
      });
    }),
  );
}

function keyAt(index: number): string {
  return index % 2 === 0 ? `${prefix}${index}` : `odd:${index}`;
}

function tagsAt(index: number): readonly string[] {
  return [tags[index % 4] ?? "", tags[(index + 1 + Math.floor(index / 4)) % 4] ?? ""];
}
