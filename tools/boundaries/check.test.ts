// Plants one violation at a time in a small workspace and proves that the check
// names it; the same workspace without a violation passes.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const alpha = 'import { alpha } from "@mcp-accel/alpha";';
const beta = 'import { beta } from "@mcp-accel/beta/mcp";';
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "boundaries-"));
  project("packages/alpha", "@mcp-accel/alpha", "lib", { undici: "^8.0.0" });
  project("packages/beta", "@mcp-accel/beta", "lib");
  const both = { "@mcp-accel/alpha": "^0.1.0", "@mcp-accel/beta": "^0.1.0" };
  project("apps/server", "server", "app", both);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a workspace that keeps the rules passes", () => {
  write("packages/alpha/src/index.ts", 'import { Pool } from "undici"; import "node:fs";');
  write(
    "packages/alpha/test/index.test.ts",
    'import { test } from "vitest"; import "../src/a.ts";',
  );
  write("packages/alpha/bench/index.ts", 'import "../../../tools/bench/table.ts";');
  for (const file of ["src/compose.ts", "src/compose/all.ts", "src/compose-cache.ts", "demo/a.ts"])
    write(`apps/server/${file}`, alpha + beta);
  expect(check()).toEqual({ status: 0, problems: "" });
});

for (const folder of ["src", "test", "bench", "examples"]) {
  test(`a package does not import its sibling in ${folder}`, () => {
    expect(planted(`packages/alpha/${folder}/bad.ts`, beta)).toMatch(/compose packages in apps/);
  });
}

test("a package does not reach its sibling by a relative path", () => {
  const source = 'export * from "../../beta/src/index.ts";';
  expect(planted("packages/alpha/test/bad.ts", source)).toMatch(/reaches into packages\/beta\/src/);
});

test("the app does not reach into a package by a relative path", () => {
  const source = 'await import("../../../packages/beta/src/index.ts");';
  expect(planted("apps/server/src/bad.ts", source)).toMatch(/reaches into packages\/beta\/src/);
});

test("a package does not import an SDK, not even its types", () => {
  const source = 'import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";';
  expect(planted("packages/alpha/src/mcp.ts", source)).toMatch(/describe its shape/);
});

test("a package declares what it imports", () => {
  expect(planted("packages/beta/src/bad.ts", 'import { Pool } from "undici";')).toMatch(
    /does not declare/,
  );
});

for (const file of ["src/serve.ts", "src/composer/all.ts", "load/run.ts"]) {
  test(`the app does not compose packages in ${file}`, () => {
    expect(planted(`apps/server/${file}`, `${alpha}\n${beta}`)).toMatch(
      /compose them in compose\.ts/,
    );
  });
}

test("a package does not depend on its sibling", () => {
  project("packages/alpha", "@mcp-accel/alpha", "lib", { "@mcp-accel/beta": "^0.1.0" });
  expect(check().problems).toMatch(/a lib may not depend on @mcp-accel\/beta/);
});

/** What the check says about one planted file; it must fail and name that file. */
function planted(file: string, source: string): string {
  write(file, source);
  const { status, problems } = check();
  const named = problems.split("\n").filter((line) => line.startsWith(`${file}: `));
  return status === 1 ? named.join("\n") : "";
}

function check(): { status: number | null; problems: string } {
  const script = join(import.meta.dirname, "check.ts");
  const { status, stderr } = spawnSync(process.execPath, [script], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  });
  return { status, problems: stderr };
}

function project(
  folder: string,
  name: string,
  kind: string,
  dependencies: Record<string, string> = {},
): void {
  const manifest = { name, nx: { tags: [`type:${kind}`] }, dependencies };
  write(`${folder}/package.json`, JSON.stringify(manifest));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}
