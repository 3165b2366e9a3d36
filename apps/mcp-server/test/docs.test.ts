import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compose } from "../src/compose.ts";
import { appliesLive } from "../src/config/live.ts";
import { loadConfig } from "../src/config/load.ts";
import { options } from "../src/config/options.ts";
import { createLogger } from "../src/log.ts";
import { testConfig } from "./support/servers.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const read = (name: string): string =>
  readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");
const tuning = read("tuning.md");
const rollout = read("rollout.md");

describe("the tuning guide", () => {
  test.each(options)("says of $path what it trades, and whether it changes live", ({ path }) => {
    const row = tuning.split("\n").find((line) => line.startsWith(`| \`${path}\``));
    const cells = row?.split("|").map((cell) => cell.trim()) ?? [];
    expect(cells[1]).toBe(appliesLive(path) ? `\`${path}\` (live)` : `\`${path}\``);
    expect(cells[2]?.length).toBeGreaterThan(5);
  });

  test("names no option that does not exist", () => {
    const rows = [...tuning.matchAll(/^\| `([a-z]\w*(?:\.\w+)?)`/gm)].map(([, path]) => path);
    expect(rows).toHaveLength(options.length);
    expect(new Set(rows)).toEqual(new Set(options.map(({ path }) => path)));
  });
});

test("the guides name only metrics that the server has", async () => {
  await using composition = compose(testConfig(), createLogger("silent"));
  const exposition = await composition.operations.metrics(undefined);
  const named = new Set(
    (tuning + rollout).match(/\b(?:cache|http_pool|stream_guard|batcher|mcp_server)_[a-z_]+\b/g),
  );
  named.delete("http_pool_");
  expect(named.size).toBeGreaterThan(15);
  for (const name of named) expect(exposition?.body).toContain(`# TYPE ${name} `);
});

test("the guides are in the package, and the README leads to them", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  for (const name of ["tuning.md", "rollout.md"]) {
    expect(readme).toContain(`docs/${name}`);
    expect(existsSync(new URL(`../docs/${name}`, import.meta.url))).toBe(true);
  }
});

test("the files of the rollout guide are right configurations", () => {
  const folder = temporaryFolder();
  const file = join(folder.path, "accel.json");
  const blocks = [...rollout.matchAll(/```json\n([^`]*)```/g)].map(([, block = ""]) => block);
  expect(blocks).toHaveLength(2);
  for (const block of blocks) {
    writeFileSync(file, block);
    expect(loadConfig({ flags: {}, env: {}, file })["features.cache"]).toBe("off");
  }
  folder.remove();
});
