import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kind } from "./strict-world.ts";
import { World, command, stretch } from "./strict-world.ts";

const leastPeeks: Readonly<Record<Kind, number>> = { keyv: 0, strict: 1_000, lagging: 1_000 };

describe("G1, G2 and G3 in several processes on one store", () => {
  test.each<Kind>(["keyv", "strict", "lagging"])(
    "%s: no interleaving, fault, lost fence or late write lets a read return what was invalidated before it began, or a value that is too old",
    async (kind) => {
      let hits = 0;
      let peeks = 0;
      let staleHits = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(command, { minLength: 10, maxLength: 80, size: "max" }),
          stretch,
          async (steps, stretched) => {
            const world = new World(kind, stretched);
            for (const step of steps) await world.step(step);
            for (const stats of await world.end()) {
              hits += stats.hits;
              staleHits += stats.staleHits;
              expect(stats).toMatchObject({ flights: 0, refreshes: 0 });
            }
            peeks += world.peeks;
          },
        ),
        { numRuns: 3_000, timeout: 5_000 },
      );
      expect(hits).toBeGreaterThan(100);
      expect(staleHits).toBeGreaterThan(100);
      expect(peeks).toBeGreaterThanOrEqual(leastPeeks[kind]);
    },
    60_000,
  );
});
