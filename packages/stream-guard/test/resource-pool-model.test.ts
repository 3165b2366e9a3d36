import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copiesOf } from "./planted-copies.ts";
import { plantedBugs } from "./pool/planted-bugs.ts";
import { poolProperty } from "./pool/property.ts";

const copies = copiesOf("pool", "fake-time.ts");

test("over random operations the pool does what a naive one does, in the same order", async () => {
  await fc.assert(poolProperty, { numRuns: 300 });
}, 120_000);

describe("the pool's property", () => {
  test("finds nothing in a copy of the sources without a bug", async () => {
    expect(await copies.run("sound", undefined, "pool/run-property.ts", ["50", "1"])).toBeNull();
  }, 120_000);

  test.concurrent.each(plantedBugs)(
    "finds the planted bug: $name",
    async (bug) => {
      const found = await copies.run(bug.name, bug, "pool/run-property.ts", ["500", "1"]);
      expect(found).toEqual(expect.any(String));
    },
    120_000,
  );
});
