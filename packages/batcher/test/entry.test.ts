import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("..", import.meta.url);

function node(...args: string[]): string {
  return execFileSync(process.execPath, ["--conditions=@mcp-accel/source", ...args], {
    cwd: root,
    encoding: "utf8",
  });
}

test.each([".", "./mcp"])("importing %s loads no MCP SDK", (entry) => {
  const specifier = `@mcp-accel/batcher${entry.slice(1)}`;
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    await import(${JSON.stringify(specifier)});
    console.log(JSON.stringify(loaded));`;
  const loaded = JSON.parse(node("--input-type=module", "--eval", script)) as string[];
  expect(loaded.some((url) => url.endsWith(entry === "." ? "/src/index.ts" : "/src/mcp.ts"))).toBe(
    true,
  );
  expect(loaded.filter((url) => url.includes("modelcontextprotocol"))).toEqual([]);
});

test.each(readdirSync(new URL("examples", root)))("example %s runs", (file) => {
  expect(node(`examples/${file}`)).toMatch(/\S/);
});

test("a retry that waits keeps the process alive until its item has settled", () => {
  const script = `
    import { BatchProcessor } from "@mcp-accel/batcher";
    let calls = 0;
    const batcher = new BatchProcessor(async (items) => {
      if (calls++ === 0) throw Object.assign(new Error("busy"), { status: 503 });
      return items;
    }, { idempotent: true, retryBackoffMs: 5 });
    console.log(await batcher.add("done"));`;
  expect(node("--input-type=module", "--eval", script).trim()).toBe("done");
});

test.each([
  ["a call that never answers", "{ batchTimeoutMs: 20 }", "{}", "BATCHER_TIMEOUT"],
  ["a deadline", "{}", "{ deadlineMs: 20 }", "BATCHER_DEADLINE"],
])("%s keeps the process alive until its item has settled", (_, options, addOptions, code) => {
  const script = `
    import { BatchProcessor } from "@mcp-accel/batcher";
    const batcher = new BatchProcessor(() => new Promise(() => {}), ${options});
    await batcher.add(1, ${addOptions}).catch((error) => console.log(error.code));
    process.exit();`;
  expect(node("--input-type=module", "--eval", script).trim()).toBe(code);
});
