import type { CacheUnderTest } from "./cache-under-test.ts";
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

/** Few keys with many tags, many invalidations, and no two kinds of them left out: harsher than any use. */
export class Workload {
  readonly #random: () => number;
  readonly #choices: readonly Weighted<Choice>[];

  constructor(cache: CacheUnderTest, random: () => number) {
    this.#random = random;
    const targets = targetsFor(cache);
    const target: (of: () => number) => Target = (of) => pick(of, targets);
    const cut =
      (make: (of: () => number) => Cut): Choice =>
      (of) => ({
        kind: "cut",
        cut: make(of),
      });
    const choices: readonly (Weighted<Choice> & { readonly if?: boolean })[] = [
      { weight: 80, item: (of) => ({ kind: "read", target: target(of) }) },
      { weight: 6, item: (of) => ({ kind: "get", target: target(of) }), if: has(cache, "get") },
      { weight: 6, item: (of) => ({ kind: "peek", target: target(of) }), if: has(cache, "peek") },
      { weight: 2, item: () => ({ kind: "disturb" }), if: cache.disturb !== undefined },
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

function targetsFor(cache: CacheUnderTest): readonly Target[] {
  const namespaces = has(cache, "namespaces") ? [undefined, namespace] : [undefined];
  return namespaces.flatMap((space) =>
    Array.from({ length: 8 }, (_, index) => {
      const even = index % 2 === 0;
      const own = [tags[index % 4] ?? "red", tags[(index * 3 + 1) % 4] ?? "red"];
      const late = has(cache, "lateTags") && index >= 5;
      return targetOf({
        key: even ? `${prefix}${index}` : `odd:${index}`,
        namespace: space,
        tags: late ? own.slice(0, index === 7 ? 0 : 1) : own,
        lateTags: late ? own.slice(index === 7 ? 0 : 1) : [],
        prefixes: even ? [prefix] : [],
      });
    }),
  );
}
