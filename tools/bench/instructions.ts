import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GateModule } from "./operation.ts";

/** Instructions of one call, by the name of the operation. */
export type Counts = Readonly<Record<string, number>>;

const PHASES = 3;
/**
 * V8 then does everything in one thread and in the same order each time, and with a heap so large that its own choice of
 * sizes, which a few bytes more can tip, does not decide how often it collects.
 */
const DETERMINISTIC = [
  "--min-semi-space-size=16",
  "--max-semi-space-size=16",
  "--initial-old-space-size=256",
  "--predictable",
  "--predictable-gc-schedule",
  "--single-threaded",
  "--hash-seed=1",
  "--random-seed=1",
];

/**
 * Counts the instructions of each operation of a package under callgrind, with `spins` turns of a loop planted into it.
 * @throws Error with what valgrind said, when it could not count
 */
export async function countInstructions(root: string, name: string, spins = 0): Promise<Counts> {
  const { operations } = (await import(`${root}/packages/${name}/bench/gate.ts`)) as GateModule;
  const folder = mkdtempSync(join(tmpdir(), "gate-"));
  try {
    const totals = await dumps(folder, [
      join(import.meta.dirname, "count-process.ts"),
      root,
      name,
      String(spins),
    ]);
    const entries = Object.entries(operations).map(([operation, { iterations }], index) => {
      const total = totals[PHASES * (index + 1)];
      if (total === undefined) throw new Error(`callgrind wrote no count for ${operation}`);
      return [operation, total / iterations] as const;
    });
    return Object.fromEntries(entries);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What was counted before each of the marks. */
async function dumps(folder: string, script: readonly string[]): Promise<readonly number[]> {
  const out = join(folder, "count");
  const callgrind = ["--tool=callgrind", `--callgrind-out-file=${out}`, "--dump-line=no"];
  const node = [process.execPath, ...DETERMINISTIC, "--conditions=@mcp-accel/source"];
  const args = [...callgrind, "--dump-before=uv_os_getpriority", ...node, ...script];
  const child = spawn("valgrind", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the counted process ended with ${code}:\n${said}`);
  const totals: number[] = [];
  for (let part = 1; ; part += 1) {
    const total = totalOf(`${out}.${part}`);
    if (total === undefined) return totals;
    totals.push(total);
  }
}

function totalOf(file: string): number | undefined {
  try {
    const total = /^summary: (\d+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    return total === undefined ? undefined : Number(total);
  } catch {
    return undefined;
  }
}
