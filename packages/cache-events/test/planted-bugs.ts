/** Textual replacements in one file of `src`; each text to replace must be there exactly once. */
export interface PlantedBug {
  readonly name: string;
  readonly cache: "memory" | "strict";
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
  /** Random races until it has to be found; default 6. */
  readonly races?: number;
}

const memory: readonly Omit<PlantedBug, "cache">[] = [
  {
    name: "an entry outlives an invalidation by one",
    file: "fence.ts",
    edits: [["if (fence.seq > born) return false;", "if (fence.seq > born + 1) return false;"]],
  },
  {
    name: "only the first tag is looked at",
    file: "fence.ts",
    edits: [
      [
        "for (const fence of fences) if (fence.seq > born) return false;",
        "for (const fence of fences.slice(0, 1)) if (fence.seq > born) return false;",
      ],
    ],
  },
  {
    name: "a tag that nothing refers to any more is forgotten",
    file: "fence.ts",
    edits: [["this.#forget(fence.tag, fence.seq);", ""]],
  },
  {
    name: "an invalidation of a tag that nothing refers to is forgotten",
    file: "fence.ts",
    edits: [["        this.#forget(tag, seq);\n", ""]],
  },
  {
    name: "a result counts from when its compute ended, whatever moved meanwhile",
    file: "local-plan.ts",
    edits: [
      ["this.#detach() && flight.isFresh([])", "this.#detach()"],
      [
        "put({ space, key, value, size, born, tags, life",
        "put({ space, key, value, size, born: this.#table.line.seq, tags, life",
      ],
    ],
  },
  {
    name: "an older compute replaces the result of a newer one",
    file: "local-plan.ts",
    edits: [["this.#detach() && flight.isFresh([])", "(this.#detach() || flight.isFresh([]))"]],
  },
  {
    name: "a reader joins whatever compute there is",
    file: "local-loads.ts",
    edits: [
      [
        "if (present instanceof LocalFlight && present.isFresh(options.tags ?? noTags))\n      return this.#join",
        "if (present instanceof LocalFlight)\n      return this.#join",
      ],
    ],
  },
  {
    name: "a reader that joined does not mind tags named late",
    file: "local-loads.ts",
    edits: [["if (standIn?.served === true || !isTooOld()) return value;", "return value;"]],
  },
  {
    name: "everything does not move its fence",
    file: "local-engine.ts",
    edits: [["line.move(line.everything);\n      for", "for"]],
  },
  {
    name: "a namespace does not move its fence",
    file: "local-engine.ts",
    edits: [["this.#table.line.move(space.fence);", ""]],
  },
  {
    name: "an entry once found valid is not checked again",
    file: "entry-table.ts",
    edits: [["if (entry.checkedAt !== line.seq) {", "if (entry.checkedAt < 0) {"]],
  },
  {
    name: "a delete leaves the compute under way",
    file: "entry-table.ts",
    edits: [["    space.flights.delete(key);\n    this.remove", "    this.remove"]],
  },
  {
    name: "a prefix leaves the computes under way",
    file: "entry-table.ts",
    edits: [
      [
        "if (key.startsWith(prefix)) space.flights.delete(key);",
        "if (key === prefix) space.flights.delete(key);",
      ],
    ],
  },
];

const strict: readonly Omit<PlantedBug, "cache">[] = [
  {
    name: "the fence of any tag moves last",
    file: "keyv-store.ts",
    edits: [
      [
        "const ahead = items.filter(({ key }) => first.includes(key));",
        "const ahead = items.filter(({ key }) => !first.includes(key));",
      ],
    ],
  },
  {
    name: "the fence of any tag is read before those of the late tags",
    file: "strict-store.ts",
    edits: [
      ["    const [now] = await this.#link.read([any]);\n", ""],
      ["const late = await", "const [now] = await this.#link.read([any]);\n    const late = await"],
    ],
  },
  {
    name: "an absent fence counts as unmoved",
    file: "strict-store.ts",
    edits: [
      [
        "if (!useful.fences.every(([fence, value]) => fences.get(fence) === value))",
        "if (!useful.fences.every(([fence, value]) => (fences.get(fence) ?? value) === value))",
      ],
    ],
  },
  {
    name: "fences are taken when the compute has ended",
    file: "strict-flights.ts",
    edits: [
      [
        "const fences = new Map([...late, ...flight.fences]);",
        "const tags = [...flight.fences.keys()].flatMap((key) => key.split(':f:t:').slice(1));\n      const [look] = await this.#init.store.look([{ key: flight.key, namespace: flight.space.name, tags, staleMs: 0 }]);\n      const fences = new Map([...late, ...(await this.#init.fences.ensure(look?.observed ?? new Map()))]);",
      ],
    ],
  },
  {
    name: "a fence gets a value that it had before",
    file: "keyv-store.ts",
    edits: [["[key, randomUUID() as string]", "[key, `${lifetimeMs}${randomUUID().slice(0, 1)}`]"]],
  },
  {
    name: "a reader joins whatever compute there is",
    file: "strict-flight.ts",
    edits: [
      ["if (fences.size !== this.fences.size) return false;", "if (fences.size > 0) return true;"],
    ],
  },
  {
    name: "a reader that joined does not mind tags named late",
    file: "strict-loads.ts",
    edits: [
      [
        "flight.lateTags.length === 0 || flight.fences.get(any) === fences.get(any);",
        "any !== '' || fences.size === 0;",
      ],
    ],
  },
  {
    name: "a reader joins a compute whose late tags have been asked for",
    races: 30,
    file: "strict-flights.ts",
    edits: [
      ["if (flight.lateTags.length > 0) detach(flight);", ""],
      [
        "if (late === undefined ||",
        "if (late !== undefined) Object.defineProperty(flight, 'lateTags', { value: [] });\n      if (late === undefined ||",
      ],
    ],
  },
  {
    name: "a fence that was read before it was mended is trusted",
    races: 30,
    file: "strict-fences.ts",
    edits: [
      [
        "this.#broken.size === 0 ? [] : keys.filter((key) => this.#broken.has(key))",
        "keys.filter(() => false)",
      ],
    ],
  },
  {
    name: "a refused invalidation is forgotten",
    races: 30,
    file: "strict-fences.ts",
    edits: [["for (const key of all) this.#break(key);", ""]],
  },
  {
    name: "an expired value is served without a look at its fences",
    file: "strict-store.ts",
    edits: [["if (!useful.fences.every(", "if (now < useful.expiresAt && !useful.fences.every("]],
  },
  {
    name: "a set does not move the fence of its key",
    file: "strict-engine.ts",
    edits: [
      [
        'const moved = await this.#move([...new Set(own)], `the key "${first}"${more}`);',
        "const moved = { values: new Map(own.map((fence) => [fence, fences[0]?.get(fence) ?? first + more])), seq: 0 };",
      ],
    ],
  },
];

export const plantedBugs: readonly PlantedBug[] = [
  ...memory.map((bug) => ({ ...bug, cache: "memory" as const })),
  ...strict.map((bug) => ({ ...bug, cache: "strict" as const })),
];
