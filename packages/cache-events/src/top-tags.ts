import type { TagFence } from "./fence.ts";
import type { TagStats } from "./stats.ts";

const shown = 100;

/** The tags with the most entries, in one pass that keeps no more than twice as many as it shows. */
export function topTags(fences: Iterable<TagFence>): Readonly<Record<string, TagStats>> {
  let top: TagFence[] = [];
  for (const fence of fences) {
    top.push(fence);
    if (top.length >= 2 * shown) top = most(top);
  }
  return Object.fromEntries(
    most(top).map(({ tag, entries, moves }) => [tag, { entries, invalidations: moves }]),
  );
}

function most(fences: readonly TagFence[]): TagFence[] {
  return fences.toSorted((a, b) => b.entries - a.entries).slice(0, shown);
}
