import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const directory = fileURLToPath(new URL("../examples/", import.meta.url));

test.each(readdirSync(directory))("example %s runs and its assertions hold", (file) => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    ["--conditions=@mcp-accel/source", file],
    { cwd: directory, timeout: 30_000 },
  );
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: "" });
  expect(String(stdout)).not.toBe("");
});
