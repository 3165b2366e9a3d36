import { describe, expect, test } from "vitest";
import { plantedBugs } from "./ledger/planted-bugs.ts";
import { copiesOf } from "./planted-copies.ts";

// The property is known to be able to fail: each bug is planted in a copy of the sources, and it has to find it.

const copies = copiesOf("ledger", "fake-time.ts");

describe("the ledger's property", () => {
  test("finds nothing in a copy of the sources without a bug", async () => {
    expect(await copies.run("sound", undefined, "ledger/run-worlds.ts", ["4"])).toBeNull();
  }, 120_000);

  test.concurrent.each(plantedBugs)(
    "finds the planted bug: $name",
    async (bug) => {
      const { name, kind, worlds = 40 } = bug;
      const args = [String(worlds), "1", ...(kind === undefined ? [] : [kind])];
      const mistake = await copies.run(name, bug, "ledger/run-worlds.ts", args);
      expect(mistake).toEqual(expect.stringContaining("LEDGER_SEED="));
    },
    120_000,
  );
});
