import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
const example = fileURLToPath(new URL("../demo/your-own-server.ts", import.meta.url));
const regions = [
  ...readFileSync(example, "utf8").matchAll(/\/\/ #region (\S+)\n(.*?)\/\/ #endregion/gs),
];

describe("the examples of the workspace's README", () => {
  test.each(regions.map(([, name, code]) => ({ name, code })))(
    "$name is what the program runs",
    ({ code }) => {
      expect(readme).toContain(`\`\`\`ts\n${code}\`\`\``);
    },
  );

  test("one for each package, and the program does what it says", async () => {
    expect(regions).toHaveLength(5);
    const args = ["--conditions=@mcp-accel/source", example];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/^3 notes in 1 insert, 9 of 10 reads from the cache/);
  });
});
