import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PLANTS, planted } from "./plants.ts";
import { compare } from "./verdict.ts";

const root = join(import.meta.dirname, "../..");

describe("the instruction gate", () => {
  test.each([
    [102.9, "ok"],
    [103.1, "slower"],
    [97.1, "ok"],
    [96.9, "faster"],
  ])("says of %d instructions, where 100 are usual: %s", (instructions, verdict) => {
    expect(compare("p", { op: instructions }, { op: 100 })).toMatchObject([{ verdict }]);
  });

  test("says so when there is nothing to compare with", () => {
    expect(compare("p", { op: 1 }, {})).toMatchObject([{ verdict: "no baseline" }]);
    expect(compare("p", { op: 1 }, undefined)).toMatchObject([{ verdict: "no baseline" }]);
  });

  test("covers every package, and can plant a slowdown into each", () => {
    const packages = globSync("packages/*", { cwd: root }).map(
      (path) => path.split(/[/\\]/).at(-1) ?? "",
    );
    expect(Object.keys(PLANTS).toSorted()).toEqual(packages.toSorted());
    for (const [name, { file }] of Object.entries(PLANTS)) {
      const path = join(root, "packages", file);
      const source = readFileSync(path, "utf8");
      expect(planted(name, `file://${path}`, source, 7)).toContain("spin < 7");
      expect(planted(name, "file:///other.ts", source, 7)).toBeUndefined();
      expect(planted(name, `file://${path}`, "", 7)).toBeUndefined();
    }
  });

  test("has a baseline for the Node version of this workspace, and it names every operation", async () => {
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    const [file] = globSync(`tools/bench/baselines/node${devDependencies["node"]}-*.json`, {
      cwd: root,
    });
    const baseline = JSON.parse(readFileSync(join(root, file ?? "missing"), "utf8")) as Record<
      string,
      object
    >;
    expect(Object.keys(baseline).toSorted()).toEqual(Object.keys(PLANTS).toSorted());
    for (const [name, { operation }] of Object.entries(PLANTS))
      expect(Object.keys(baseline[name] ?? {})).toContain(operation);
  });
});
