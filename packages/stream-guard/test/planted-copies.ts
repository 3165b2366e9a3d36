import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect } from "vitest";

export interface Edits {
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
}

export interface Copies {
  /** What `script`, one of the tests' files, prints as JSON in a copy of the package with `bug` in it. */
  run(
    name: string,
    bug: Edits | undefined,
    script: string,
    args: readonly string[],
  ): Promise<unknown>;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/** Copies of the package with `tests` of its tests, whose name resolves to their own sources. */
export function copiesOf(...tests: readonly string[]): Copies {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "planted-"));
    symlinkSync(join(root, "../../node_modules"), join(folder, "node_modules"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    run: async (name, bug, script, args) => {
      const copy = join(folder, name.replaceAll(/\W+/g, "-"));
      for (const part of ["src", "package.json", ...tests.map((test) => `test/${test}`)])
        cpSync(join(root, part), join(copy, part), { recursive: true });
      if (bug !== undefined) plant(join(copy, "src", bug.file), bug);
      const path = join(copy, "test", script);
      const flags = ["--conditions=@mcp-accel/source", "--unhandled-rejections=none"];
      const { stdout } = await run(process.execPath, [...flags, path, ...args]);
      return JSON.parse(stdout) as unknown;
    },
  };
}

function plant(path: string, { file, edits }: Edits): void {
  let source = readFileSync(path, "utf8");
  for (const [find, replace] of edits) {
    expect(source.split(find), `${file} should hold ${find} once`).toHaveLength(2);
    source = source.replace(find, () => replace);
  }
  writeFileSync(path, source);
}
