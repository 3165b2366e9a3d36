import type { Origin } from "./leak-origin.ts";

const MAX_EXAMPLES = 3;

/** What is observed of the things made at one place. */
export interface Group {
  readonly origin: Origin;
  readonly what: string;
  count: number;
  bytes: number;
  oldestMs: number;
  readonly examples: string[];
}

export interface Member {
  readonly origin: Origin;
  readonly what: string;
  readonly name: string;
  readonly bytes?: number;
  readonly ageMs: number;
}

/** One group for each place and sort of thing. */
export function groupByPlace(members: Iterable<Member>): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const { origin, what, name, bytes = 0, ageMs } of members) {
    const key = `${what} ${origin.place}`;
    const group = groups.get(key) ?? {
      origin,
      what,
      count: 0,
      bytes: 0,
      oldestMs: 0,
      examples: [],
    };
    group.count += 1;
    group.bytes += bytes;
    group.oldestMs = Math.max(group.oldestMs, Math.round(ageMs));
    if (group.examples.length < MAX_EXAMPLES) group.examples.push(name.slice(0, 80));
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** What the group's finding is called: places that were not sampled are told apart by the sort of thing. */
export function originOf({ origin, what }: Group): Origin {
  return {
    ...origin,
    place: origin.stack === undefined ? `${what} ${origin.place}` : origin.place,
  };
}
