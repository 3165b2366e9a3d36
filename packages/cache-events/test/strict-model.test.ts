import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kind } from "./strict-world.ts";
import { World, command } from "./strict-world.ts";

const leastPeeks: Readonly<Record<Kind, number>> = { keyv: 0, strict: 1_000, lagging: 1_000 };

describe("G1, G2 and G3 in several processes on one store", () => {
  test.each<Kind>(["keyv", "strict", "lagging"])(
    "%s: no interleaving, fault, lost fence or late write lets a read return what was invalidated before it began",
    async (kind) => {
      let hits = 0;
      let peeks = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(command, { minLength: 10, maxLength: 80, size: "max" }),
          async (steps) => {
            const world = new World(kind);
            for (const step of steps) await world.step(step);
            hits += await world.end();
            peeks += world.peeks;
          },
        ),
        { numRuns: 3_000, timeout: 5_000 },
      );
      expect(hits).toBeGreaterThan(100);
      expect(peeks).toBeGreaterThanOrEqual(leastPeeks[kind]);
    },
    60_000,
  );
});
