import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashOf, HashRing, loadBound } from "../src/hash-ring.ts";

interface Member {
  readonly upstream: string;
  readonly weight: number;
}

const KEYS = Array.from({ length: 1000 }, (_, index) => `session-${index}`);
const always = (): boolean => true;

function ringOf(members: readonly Member[]): HashRing<Member> {
  const ring = new HashRing<Member>();
  ring.update(members);
  return ring;
}

function members(count: number): Member[] {
  return Array.from({ length: count }, (_, index) => {
    return { upstream: `http://10.0.0.${index}`, weight: 1 };
  });
}

const group = fc
  .uniqueArray(fc.webUrl({ validSchemes: ["http"] }), { minLength: 2, maxLength: 8 })
  .map((names) => names.map((upstream) => ({ upstream, weight: 1 })));

describe("consistent hashing", () => {
  test("when a member leaves, only its own keys move; when it comes back, they return", () => {
    fc.assert(
      fc.property(group, fc.nat(), (all, chosen) => {
        const left = all[chosen % all.length] as Member;
        const full = ringOf(all);
        const rest = ringOf(all.filter((member) => member !== left));
        for (const key of KEYS.slice(0, 200)) {
          const before = full.find(key, always);
          const after = rest.find(key, always);
          if (before !== left) expect(after).toBe(before);
          // Leaving for a while is the same as leaving.
          expect(full.find(key, (member) => member !== left)).toBe(after);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("the order in which members came does not matter", () => {
    fc.assert(
      fc.property(group, (all) => {
        const one = ringOf(all);
        const other = ringOf(all.toReversed());
        for (const key of KEYS.slice(0, 100))
          expect(other.find(key, always)).toBe(one.find(key, always));
      }),
      { numRuns: 20 },
    );
  });

  test("a greater weight takes keys from the others and gives none away", () => {
    const [a, b, c] = members(3) as [Member, Member, Member];
    const before = ringOf([a, b, c]);
    const heavier = { ...a, weight: 3 };
    const after = ringOf([heavier, b, c]);
    let taken = 0;
    for (const key of KEYS) {
      const [was, is] = [before.find(key, always), after.find(key, always)];
      if (is === heavier) taken += was === a ? 0 : 1;
      else expect(is).toBe(was);
    }
    expect(taken).toBeGreaterThan(150);
  });

  test("the shares differ by little", () => {
    const ring = ringOf(members(10));
    const keys = Array.from({ length: 20_000 }, (_, index) => `key-${index}`);
    const counts = Map.groupBy(keys, (key) => ring.find(key, always));
    for (const { length } of counts.values()) {
      expect(length).toBeGreaterThan(1300);
      expect(length).toBeLessThan(2700);
    }
  });

  test("an empty ring, and one that allows nobody, find nothing", () => {
    expect(ringOf([]).find("x", always)).toBeUndefined();
    expect(ringOf(members(3)).find("x", () => false)).toBeUndefined();
  });

  test("similar keys have hashes that are far apart", () => {
    const hashes = KEYS.map((key) => hashOf(key) / 2 ** 32);
    const mean = hashes.reduce((sum, hash) => sum + hash, 0) / hashes.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.03);
    expect(new Set(KEYS.map(hashOf)).size).toBe(KEYS.length);
  });
});

test("bounded loads: somebody always has room, and nobody has much more than its share", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
      fc.double({ min: 1, max: 3, noNaN: true }),
      (weights, factor) => {
        const loads = weights.map((weight) => ({ weight, pending: 0 }));
        const weight = weights.reduce((sum, one) => sum + one, 0);
        for (let pending = 0; pending < 60; pending += 1) {
          const free = loads.find(
            (one) => one.pending < loadBound(factor, one, { pending, weight }),
          );
          expect(free).toBeDefined();
          (free as { pending: number }).pending += 1;
        }
        for (const one of loads)
          expect(one.pending).toBeLessThanOrEqual(Math.ceil((factor * 60 * one.weight) / weight));
      },
    ),
  );
});
