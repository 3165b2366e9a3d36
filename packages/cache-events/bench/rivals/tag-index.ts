import type { KnownEntry } from "@mcp-accel/cache-events/testing";

/** Which keys have a tag, as an application keeps it by hand beside a cache without tags. */
export class TagIndex {
  readonly #keys = new Map<string, Set<string>>();
  readonly #tags = new Map<string, readonly string[]>();

  constructor(entries: readonly KnownEntry[]) {
    for (const { key, tags } of entries) this.learn(key, tags);
  }

  learn(key: string, tags: readonly string[]): void {
    this.#tags.set(key, tags);
    for (const tag of tags) {
      const keys = this.#keys.get(tag) ?? new Set();
      this.#keys.set(tag, keys.add(key));
    }
  }

  keysOf(tags: readonly string[]): readonly string[] {
    return [...new Set(tags.flatMap((tag) => [...(this.#keys.get(tag) ?? [])]))];
  }

  tagsOf(key: string): readonly string[] {
    return this.#tags.get(key) ?? [];
  }
}
