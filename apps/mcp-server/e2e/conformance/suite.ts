import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

export type Revision = "2025-06-18" | "2025-11-25" | "2026-07-28";

export interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
  readonly details?: { readonly untestable?: boolean };
}
export interface Scenario {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** What the suite runs for a revision: what it froze when the revision came out, or else all that applies to it. */
const selection: Readonly<Record<Revision, readonly string[]>> = {
  "2025-06-18": ["--suite", "all", "--spec-version", "2025-06-18"],
  "2025-11-25": ["--requirements", "2025-11-25"],
  "2026-07-28": ["--requirements", "2026-07-28"],
};
const SCENARIO_MS = 20_000;
const RUN_MS = 180_000;

/** Runs the suite's command line against a server; a scenario without a result has no checks. */
export async function runSuite(
  url: string,
  revision: Revision,
  folder: string,
): Promise<Scenario[]> {
  const options = ["--url", url, "--timeout", String(SCENARIO_MS), "--output-dir", folder];
  const output = await run([cliPath(), "server", ...options, ...selection[revision]]);
  const announced = Number(/^Running .*\((\d+) scenarios\)/m.exec(output)?.[1]);
  const started = [...output.matchAll(/^=== Running scenario: (\S+) ===$/gm)].map(
    ([, name]) => name ?? "",
  );
  if (started.length === 0 || started.length !== announced)
    throw new Error(
      `the suite ran ${started.length} of ${announced} scenarios: ${output.slice(-2_000)}`,
    );
  const results = await readResults(folder);
  return started.map((name) => ({ name, checks: results.get(name) ?? [] }));
}

/** The scenarios of the protocol's extensions, which no revision requires. */
export async function extensionScenarios(): Promise<Set<string>> {
  const output = await run([cliPath(), "list", "--server"]);
  return new Set([...output.matchAll(/^ +- (\S+) \[extension\]$/gm)].map(([, name]) => name ?? ""));
}

/** The suite exits with 1 when a check failed, those that are not of interest among them; its files tell. */
function run(args: readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const limits = { timeout: RUN_MS, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024 } as const;
  execFile(process.execPath, args, limits, (_error, stdout, stderr) => resolve(stdout + stderr));
  return promise;
}

async function readResults(folder: string): Promise<Map<string, Check[]>> {
  const results = new Map<string, Check[]>();
  for (const entry of await readdir(folder)) {
    const name = /^server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/.exec(entry)?.[1];
    if (name === undefined) continue;
    // A scenario that could not even start leaves an empty folder.
    const checks = await readFile(join(folder, entry, "checks.json"), "utf8").catch(() => "[]");
    results.set(name, JSON.parse(checks) as Check[]);
  }
  return results;
}

function cliPath(): string {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve("@modelcontextprotocol/conformance/package.json");
  const { bin } = require(manifest) as { bin: Record<string, string> };
  return join(manifest, "..", bin["conformance"] ?? "");
}
