import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Balancer, Candidate } from "../src/balancer.ts";
import { EdfSchedule, rampedWeight } from "../src/edf-schedule.ts";
import { LeastRequest } from "../src/least-request.ts";
import { peakEwmaLoad, pendingLoad, TwoChoices } from "../src/two-choices.ts";

class Double implements Candidate {
  pending = 0;
  cost = 1;
  rampTo = 1;
  readonly weight: number;

  constructor(weight = 1) {
    this.weight = weight;
  }

  costMs(): number {
    return this.cost;
  }

  ramp(): number {
    return this.rampTo;
  }
}

const ANY = { nowMs: 0, allows: () => true };

/** The same numbers again and again (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function picks(balancer: Balancer<Double>, count: number): Double[] {
  return Array.from({ length: count }, () => balancer.pick(ANY) as Double);
}

function countOf(all: readonly Double[], one: Double | undefined): number {
  return all.filter((picked) => picked === one).length;
}

const weightList = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });

describe("weighted round robin", () => {
  test("each gets exactly its share of every round, like nginx's smooth one", () => {
    fc.assert(
      fc.property(weightList, fc.integer({ min: 1, max: 4 }), (weights, rounds) => {
        const members = weights.map((weight) => new Double(weight));
        const balancer = new EdfSchedule<Double>(rampedWeight);
        balancer.update(members, 0);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (let round = 0; round < rounds; round += 1) {
          const picked = picks(balancer, total);
          for (const member of members) {
            // Sums of fractions may put a pick on the other side of the end of a round.
            const off = Math.abs(countOf(picked, member) - member.weight);
            expect(off).toBeLessThanOrEqual(round === 0 ? 0 : 1);
          }
        }
      }),
    );
  });

  test("the heavy one is spread, not sent in a row", () => {
    const [a, b, c] = [new Double(5), new Double(1), new Double(1)];
    const balancer = new EdfSchedule<Double>(rampedWeight);
    balancer.update([a, b, c], 0);
    const names = new Map([
      [a, "a"],
      [b, "b"],
      [c, "c"],
    ]);
    const order = picks(balancer, 14).map((picked) => names.get(picked));
    expect(order.join("")).not.toContain("aaaaaa");
    expect(order.filter((name) => name === "a")).toHaveLength(10);
  });

  test("one that was not allowed for a while, or comes anew, does not make up for it", () => {
    const members = [new Double(), new Double(), new Double()];
    const [first] = members;
    const balancer = new EdfSchedule<Double>(rampedWeight);
    balancer.update(members, 0);
    balancer.update(members.slice(1), 0);
    picks(balancer, 100);
    balancer.update(members, 0);
    expect(countOf(picks(balancer, 9), first)).toBe(3);
  });

  test("picks only what is allowed, and nothing when nothing is", () => {
    fc.assert(
      fc.property(weightList, fc.integer({ min: 0, max: 2 ** 12 }), (weights, mask) => {
        const members = weights.map((weight) => new Double(weight));
        const allowed = new Set(members.filter((_, index) => (mask >> index) & 1));
        for (const balancer of all(members)) {
          const request = { nowMs: 0, allows: (one: Double) => allowed.has(one) };
          for (let count = 0; count < 20; count += 1) {
            const picked = balancer.pick(request);
            if (allowed.size === 0) expect(picked).toBeUndefined();
            else expect(allowed.has(picked as Double)).toBe(true);
          }
        }
      }),
    );
  });
});

function all(members: readonly Double[]): Balancer<Double>[] {
  const balancers = [
    new EdfSchedule<Double>(rampedWeight),
    new LeastRequest<Double>(seeded(1)),
    new TwoChoices<Double>(seeded(2), peakEwmaLoad),
  ];
  for (const balancer of balancers) balancer.update(members, 0);
  return balancers;
}

describe("two choices", () => {
  test("the busiest of many never gets a request", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 20 }), (seed, size) => {
        const members = Array.from({ length: size }, () => new Double());
        const [busiest] = members as [Double];
        busiest.pending = 5;
        const balancer = new TwoChoices<Double>(seeded(seed), pendingLoad);
        balancer.update(members);
        expect(countOf(picks(balancer, 50), busiest)).toBe(0);
      }),
    );
  });

  test("balls and bins: the fullest holds little more than the mean, far less than with one choice", () => {
    const fullest = (choices: 1 | 2): number => {
      const members = Array.from({ length: 100 }, () => new Double());
      const balancer = new TwoChoices<Double>(seeded(7), choices === 2 ? pendingLoad : () => 0);
      balancer.update(members);
      for (let ball = 0; ball < 10_000; ball += 1) (balancer.pick(ANY) as Double).pending += 1;
      return Math.max(...members.map(({ pending }) => pending));
    };
    // Mean 100; ln ln n / ln 2 + O(1) above it, against about 2 * sqrt(100 * ln 100) * 0.7.
    expect(fullest(2)).toBeLessThanOrEqual(104);
    expect(fullest(1)).toBeGreaterThan(115);
  });

  test("draws follow the weights", () => {
    const members = [new Double(1), new Double(3)];
    const balancer = new TwoChoices<Double>(seeded(3), () => 0);
    balancer.update(members);
    const share = countOf(picks(balancer, 10_000), members[1]) / 10_000;
    expect(share).toBeGreaterThan(0.72);
    expect(share).toBeLessThan(0.78);
  });

  test("one that starts slowly gets its part, whatever its load", () => {
    const members = Array.from({ length: 10 }, () => new Double());
    const [slow] = members as [Double];
    slow.rampTo = 0.1;
    slow.cost = 0.5;
    const balancer = new TwoChoices<Double>(seeded(4), peakEwmaLoad);
    balancer.update(members);
    const share = countOf(picks(balancer, 20_000), slow) / 20_000;
    expect(share).toBeGreaterThan(0.01);
    expect(share).toBeLessThan(0.03);
  });

  test("peak-ewma weighs latency and requests under way", () => {
    const [fast, slow] = [new Double(), new Double()];
    slow.cost = 10;
    expect(peakEwmaLoad(fast, 0)).toBeLessThan(peakEwmaLoad(slow, 0));
    fast.pending = 20;
    expect(peakEwmaLoad(fast, 0)).toBeGreaterThan(peakEwmaLoad(slow, 0));
  });
});

describe("least request", () => {
  test("with unequal weights, shares are as the weights while nothing is under way", () => {
    const members = [new Double(1), new Double(4)];
    const balancer = new LeastRequest<Double>(seeded(5));
    balancer.update(members, 0);
    expect(countOf(picks(balancer, 500), members[1])).toBe(400);
  });

  test("requests under way divide the weight, as in Envoy", () => {
    const members = [new Double(1), new Double(4)];
    (members[1] as Double).pending = 7;
    const balancer = new LeastRequest<Double>(seeded(5));
    balancer.update(members, 0);
    // 4 / (7 + 1) against 1.
    expect(countOf(picks(balancer, 300), members[1])).toBe(100);
  });
});
