import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readOptions } from "./options.ts";
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
    expect(compare("p", {}, { op: 1 })).toMatchObject([{ verdict: "gone" }]);
  });

  test.each([
    [["c"], '"c" is none of a, b'],
    [["--repeat", "0"], "from 1 to 9999"],
    [["--repeat", "many"], "from 1 to 9999"],
    [["--repeat", ""], "from 1 to 9999"],
    [["--plant", "--update"], "exclude each other"],
    [["--unknown"], "--unknown"],
  ])("refuses the arguments %j", (args, message) => {
    expect(() => readOptions(args, ["a", "b"])).toThrow(message);
  });

  test("takes all packages when none is named, and each of them once", () => {
    expect(readOptions([], ["a", "b"])).toMatchObject({
      names: ["a", "b"],
      mode: "check",
      repeat: 1,
    });
    expect(readOptions(["b", "b", "--plant"], ["a", "b"])).toMatchObject({
      names: ["b"],
      mode: "plant",
    });
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
