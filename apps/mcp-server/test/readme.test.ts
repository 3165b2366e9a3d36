import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { flagOf, options, type Option } from "../src/config/options.ts";
import { cacheRules } from "../src/features/cache-rules.ts";
import { catalogue } from "../src/tools/catalogue.ts";
import type { Services } from "../src/tools/services.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const tools = catalogue({} as Services);

describe("the README", () => {
  test.each(options)("has the option $path with its flag and default", (option: Option) => {
    const row = readme
      .split("\n")
      .find(
        (line) =>
          line.startsWith(`| \`${option.path}\` `) && line.includes(`| \`--${flagOf(option)}\` `),
      );
    expect(row).toContain(option.default === "" ? "none" : `\`${option.default}\``);
    expect(row).toContain(option.help);
  });

  test.each(tools)("names the tool $name", ({ name }) => {
    expect(readme).toContain(`\`${name}\``);
  });
});

describe("the catalogue", () => {
  test.each(tools.filter(({ cacheTags }) => cacheTags !== undefined))(
    "$name is read-only, and an event invalidates each tag it is cached under",
    ({ annotations, cacheTags }) => {
      expect(annotations.readOnlyHint).toBe(true);
      const ids = { agentId: "id", taskId: "id", swarmId: "id", toolName: "id" };
      const invalidated = Object.values(cacheRules).flatMap((rule) =>
        (rule as (event: unknown) => readonly string[])(ids),
      );
      for (const tag of cacheTags?.(ids) ?? []) expect(invalidated).toContain(tag);
    },
  );
});
