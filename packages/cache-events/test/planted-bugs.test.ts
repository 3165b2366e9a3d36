import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlantedBug } from "./planted-bugs.ts";
import { plantedBugs } from "./planted-bugs.ts";

// The suite is known to be able to fail: each bug is planted in a copy of the sources, and the suite has to find it.

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const runner = join(root, "test/race/run-suite.ts");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "planted-"));
  symlinkSync(join(root, "../../node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the conformance suite", () => {
  test.each(["memory", "strict"] as const)(
    "finds nothing in a copy of the sources without a bug, over %s",
    async (cache) => {
      expect(await failuresOf(copyOf(`sound-${cache}`), { cache })).toEqual([]);
    },
    60_000,
  );

  test.concurrent.each(plantedBugs)(
    "finds the planted bug: $cache, $name",
    async (bug) => {
      const failures = await failuresOf(planted(bug), bug);
      expect(failures).toEqual([expect.stringContaining("stale")]);
    },
    60_000,
  );
});

function planted({ name, cache, file, edits }: PlantedBug): string {
  const copy = copyOf(`${cache}-${name.replaceAll(" ", "-")}`);
  const path = join(copy, "src", file);
  let source = readFileSync(path, "utf8");
  for (const [find, replace] of edits) {
    expect(source.split(find), `${file} should hold ${find} once`).toHaveLength(2);
    source = source.replace(find, () => replace);
  }
  writeFileSync(path, source);
  return copy;
}

/** A package of its own whose name resolves to its own sources. */
function copyOf(name: string): string {
  const copy = join(folder, name);
  cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
  cpSync(join(root, "test/race"), join(copy, "race"), { recursive: true });
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  return copy;
}

async function failuresOf(
  copy: string,
  { cache, races = 6 }: Pick<PlantedBug, "cache" | "races">,
): Promise<readonly string[]> {
  const module = pathToFileURL(join(copy, `race/${cache}.ts`)).href;
  const { stdout } = await run(process.execPath, [
    "--conditions=@mcp-accel/source",
    runner,
    module,
    cache === "memory" ? "1" : "2",
    String(races),
  ]);
  return JSON.parse(stdout) as string[];
}
