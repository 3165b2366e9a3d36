/** Numbers from 0 to 1, the same for the same seed: mulberry32 (Tommy Ettinger, 2017). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(random: () => number, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("expected something to pick from, received nothing");
  return item;
}

export interface Weighted<T> {
  readonly weight: number;
  readonly item: T;
}

export function weighted<T>(random: () => number, items: readonly Weighted<T>[]): T {
  let left = random() * items.reduce((sum, { weight }) => sum + weight, 0);
  for (const { weight, item } of items) {
    left -= weight;
    if (left < 0) return item;
  }
  return pick(random, items).item;
}
