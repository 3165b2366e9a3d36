import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Bench, SECOND_MS, depthAbove, ruleWith } from "./alert-bench.ts";

interface Step {
  readonly depth: number | "gone" | "broken";
  /** By how much the clock moves, in either direction. */
  readonly clockMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  depth: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(0, 3, 7, 12, 20) },
    { weight: 1, arbitrary: fc.constantFrom("gone" as const, "broken" as const) },
  ),
  clockMs: fc.oneof(
    { weight: 10, arbitrary: fc.constant(SECOND_MS) },
    { weight: 1, arbitrary: fc.integer({ min: -7_200_000, max: 7_200_000 }) },
  ),
});

const durations = fc.record({
  forMs: fc.integer({ min: 0, max: 4 }).map((count) => count * SECOND_MS),
  keepFiringMs: fc.integer({ min: 0, max: 4 }).map((count) => count * SECOND_MS),
  holdWithoutDataMs: fc.integer({ min: 0, max: 4 }).map((count) => count * SECOND_MS),
});

/** In these tests above 10 is bad, and below 5 is good again. */
test("whatever happens, an alert begins and ends by turns, each for a reason that was seen", async () => {
  const property = fc.asyncProperty(
    durations,
    fc.array(step, { minLength: 20, maxLength: 80 }),
    async (times, steps) => {
      const bench = new Bench([ruleWith(depthAbove(10, { clearBelow: 5 }), times)]);
      const read = bench.source.snapshot.bind(bench.source);
      let badSeen = 0;
      for (const { depth, clockMs } of steps) {
        bench.clockMs += clockMs;
        bench.source.families = {};
        if (typeof depth === "number") bench.source.set("gauge", "depth", depth);
        bench.source.snapshot = depth === "broken" ? () => Promise.reject(new Error("no")) : read;
        const before = bench.said.length;
        await bench.alerts.evaluate();
        const isBad = typeof depth === "number" && depth > 10;
        badSeen = isBad ? badSeen + 1 : 0;
        const said = bench.said.slice(before);
        expect(said.length).toBeLessThanOrEqual(1);
        expect(said[0] === "firing" && !isBad).toBe(false);
        expect(said[0] === "firing" && times.forMs > 0 && badSeen < 2).toBe(false);
        expect(said[0] === "resolved" && isBad).toBe(false);
        expectConsistent(bench);
      }
      expect(bench.said).toEqual(bench.said.map((_, index) => ["firing", "resolved"][index % 2]));
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

function expectConsistent({ alerts, events, said }: Bench): void {
  const [rule] = alerts.state();
  expect(rule?.state === "firing").toBe(said.at(-1) === "firing");
  expect(rule?.alerts.length).toBeLessThanOrEqual(1);
  for (const { startsAtMs, endsAtMs = Infinity } of events) {
    expect(endsAtMs).toBeGreaterThanOrEqual(startsAtMs);
  }
  expect(new Set(events.map(({ fingerprint }) => fingerprint)).size).toBeLessThanOrEqual(1);
}
