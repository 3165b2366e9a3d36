import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);

const probe = `
import { registerHooks } from "node:module";
const loaded = [];
registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
await import(process.argv[1]);
console.log(JSON.stringify(loaded));
`;

test.each(["index", "mcp", "redis", "sqlite", "testing"])(
  "importing %s loads no MCP SDK, no Keyv and no Redis client",
  async (entry) => {
    const { url, loaded } = await loadedBy(entry);
    expect(loaded).toContain(url);
    const foreign = loaded.filter((one) => one.includes("node_modules"));
    expect(foreign.filter((one) => !one.includes("/eventemitter3/"))).toEqual([]);
  },
);

test("importing sqlite alone loads node:sqlite", async () => {
  for (const entry of ["index", "mcp", "redis", "sqlite", "testing"]) {
    const { loaded } = await loadedBy(entry);
    expect(loaded.includes("node:sqlite")).toBe(entry === "sqlite");
  }
});

async function loadedBy(entry: string): Promise<{ url: string; loaded: readonly string[] }> {
  const url = new URL(`../src/${entry}.ts`, import.meta.url).href;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", probe, url], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  });
  return { url, loaded: JSON.parse(stdout) as string[] };
}
