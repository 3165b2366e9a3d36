import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../examples/", import.meta.url));

test.each(readdirSync(folder))("the example %s runs and its assertions hold", async (file) => {
  const { stdout, stderr } = await run(process.execPath, [
    "--conditions=@mcp-accel/source",
    // Node 22 warns of node:sqlite.
    "--disable-warning=ExperimentalWarning",
    folder + file,
  ]);
  expect(stdout).not.toBe("");
  expect(stderr).toBe("");
});
