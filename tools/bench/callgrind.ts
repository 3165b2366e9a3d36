import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface Counted {
  /** Instructions of the main thread before the first mark, and from each mark to the next. */
  readonly counts: readonly number[];
  /** What the script printed. */
  readonly output: string;
}

/** `os.getPriority()`: callgrind writes down its count when it is called, and begins anew. */
const MARK = "--dump-before=uv_os_getpriority";
/** What the other threads do, such as waiting for a lock, depends on what else the machine does. */
const BY_THREAD = "--separate-threads=yes";
const MAIN_THREAD = "01";
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

/** The version of valgrind; undefined when it is not installed. */
export function valgrindVersion(): string | undefined {
  const { stdout, error } = spawnSync("valgrind", ["--version"], { encoding: "utf8" });
  return error === undefined ? stdout.trim() : undefined;
}

/**
 * Runs a script of the workspace under callgrind.
 * @throws Error with what it and valgrind said, when it did not end well
 */
export async function countBetweenMarks(script: readonly string[]): Promise<Counted> {
  const folder = mkdtempSync(join(tmpdir(), "callgrind-"));
  try {
    const out = join(folder, "count");
    const callgrind = [
      "--tool=callgrind",
      `--callgrind-out-file=${out}`,
      "--dump-line=no",
      MARK,
      BY_THREAD,
    ];
    const node = [process.execPath, ...DETERMINISTIC, "--conditions=@mcp-accel/source"];
    const child = spawn("valgrind", [...callgrind, ...node, ...script], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [output, said, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close") as Promise<[number | null, string | null]>,
    ]);
    if (code !== 0) throw new Error(`the counted process ended with ${code ?? signal}:\n${said}`);
    return { counts: countsOf(out), output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function countsOf(out: string): readonly number[] {
  const counts: number[] = [];
  for (let part = 1; ; part += 1) {
    const count = countOf(`${out}.${part}-${MAIN_THREAD}`);
    if (count === undefined) return counts;
    counts.push(count);
  }
}

function countOf(file: string): number | undefined {
  try {
    const count = /^summary: (\d+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}
