import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LeakDetector, MemoryMonitor, ResourcePool, StreamGuard } from "@mcp-accel/stream-guard";
import * as entry from "@mcp-accel/stream-guard";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

test.each(globSync("examples/*.ts", { cwd: root }))("%s runs and its assertions hold", (path) => {
  const args = ["--conditions=@mcp-accel/source", path];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).not.toBe("");
});

test.each([
  "examples/slow-reader.ts",
  "examples/under-pressure.ts",
  "examples/leaks.ts",
  "examples/mcp-transport.ts",
  "examples/mcp-sessions.ts",
])("the README shows %s as it is", (path) => {
  expect(readme).toContain(readFileSync(join(root, path), "utf8").trimEnd());
});

test("the README lists every error and every metric, and no others", () => {
  const classes = Object.keys(entry).filter((name) => name.endsWith("Error"));
  const listed = rows(/^\| `STREAM_GUARD_/).map(([, name]) => name);
  expect(new Set([...listed, "StreamGuardError"])).toEqual(new Set(classes));
  const parts = [
    new StreamGuard(),
    new ResourcePool({ capacity: 1 }),
    new MemoryMonitor(),
    new LeakDetector(),
  ];
  const families = parts.flatMap((part) => [...part.metricFamilies()]);
  expect(new Set(rows(/^\| `stream_guard_/))).toEqual(
    new Set(families.map(({ name, type, labels }) => [name, type, labels.join(", ")])),
  );
});

/** The cells of the README's table rows that match. */
function rows(pattern: RegExp): string[][] {
  return readme
    .split("\n")
    .filter((line) => pattern.test(line))
    .map((line) => line.split("|").slice(1, 4))
    .map((cells) => cells.map((cell) => cell.replaceAll("`", "").trim()));
}
