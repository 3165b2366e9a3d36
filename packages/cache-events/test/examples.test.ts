import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { hasRedis, serverOf } from "./redis-support.ts";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../examples/", import.meta.url));
const needsRedis = ["replicas.ts"];
const plain = readdirSync(folder).filter((file) => !needsRedis.includes(file));

test.each(plain)("the example %s runs and its assertions hold", async (file) => {
  await expectToRun(file, {});
});

test.skipIf(!hasRedis("examples with Redis")).each(needsRedis)(
  "the example %s runs against a Redis and its assertions hold",
  async (file) => {
    const { port } = await serverOf();
    expect(await expectToRun(file, { REDIS_URL: `redis://127.0.0.1:${port}` })).not.toContain(
      "skipped",
    );
  },
);

async function expectToRun(file: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout, stderr } = await run(
    process.execPath,
    [
      "--conditions=@mcp-accel/source",
      // Node 22 warns of node:sqlite.
      "--disable-warning=ExperimentalWarning",
      folder + file,
    ],
    { env: { ...process.env, ...env } },
  );
  expect(stdout).not.toBe("");
  expect(stderr).toBe("");
  return stdout;
}

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
