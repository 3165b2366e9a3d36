import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);

test.each([
  ["quick-start", "20 requests, 2 connections, reuse ratio 0.9\n"],
  ["guarded-fetch", "loopback addresses are refused, by number and by name\n"],
  ["replicas", "90 requests, one replica gone and back, none failed\n"],
  ["new-session", "v1: a new session at the other server\nv2: a new session at the other server\n"],
])("examples/%s.ts runs, and its assertions hold", async (name, output) => {
  const file = new URL(`../examples/${name}.ts`, import.meta.url);
  const { stdout } = await run(process.execPath, ["--conditions=@mcp-accel/source", file.pathname]);
  expect(stdout).toBe(output);
});

test.each(["quick-start", "guarded-fetch", "replicas", "new-session"])(
  "the README shows examples/%s.ts",
  async (name) => {
    const source = await readFile(new URL(`../examples/${name}.ts`, import.meta.url), "utf8");
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const region = source.split(`// #region ${name}\n`)[1]?.split(`// #endregion ${name}`)[0];
    expect(region).toBeDefined();
    expect(readme).toContain(region);
  },
);
