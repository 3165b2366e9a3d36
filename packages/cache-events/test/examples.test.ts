import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../examples/", import.meta.url));

test.each(readdirSync(folder))("the example %s runs and its assertions hold", async (file) => {
  const { stdout, stderr } = await run(process.execPath, [
    "--conditions=@mcp-accel/source",
    folder + file,
  ]);
  expect(stdout).not.toBe("");
  expect(stderr).toBe("");
});

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const snippets = [...readme.matchAll(/\[examples\/([\w-]+\.ts)\].*?```ts\n(.*?)```/gs)];

function linesOf(text = ""): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").join("\n");
}

test.each(snippets.map(([, file, snippet]) => [file, snippet]))(
  "what the README shows of %s is in it",
  (file, snippet) => {
    expect(linesOf(readFileSync(folder + file, "utf8"))).toContain(linesOf(snippet));
  },
);
