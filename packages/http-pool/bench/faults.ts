// Does every request end, whatever goes wrong? Mixed faults for a while, then the accounts; the exit status
// is 1 when something is missing. `--duration 10m` (20s by default), `--seed n`, `--json` for JSON alone.
import { parseArgs } from "node:util";
import { runFaults } from "./fault-run.ts";
import type { FaultReport } from "./fault-run.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

const { values } = parseArgs({
  options: {
    duration: { type: "string", default: "20s" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "boolean", default: false },
  },
});
const durationMs = parseDuration(values.duration);
const endsAt = performance.now() + durationMs;
const report = await runFaults({
  isOver: () => performance.now() >= endsAt,
  seed: Number(values.seed),
});
if (!values.json) process.stdout.write(`${tableOf(report)}\n`);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.ok ? 0 : 1;

function parseDuration(text: string): number {
  const [, amount = "", unit = ""] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const factor = UNITS[unit];
  if (factor === undefined)
    throw new Error(`--duration: expected 20s, 10m or 8h, received ${text}`);
  return Number(amount) * factor;
}

function tableOf(of: FaultReport): string {
  const { stats } = of;
  const rows: [string, string | number][] = [
    [
      "duration",
      `${(of.durationMs / 1000).toFixed(1)} s, seed ${of.seed}, Node ${process.version}`,
    ],
    ["requests", of.requests],
    ["  answered", of.answered],
    ["  ended by the caller", of.aborted],
    ...countsOf(of.failed, "  failed, "),
    ...countsOf(of.untyped, "  UNTYPED, "),
    ["  stuck", of.stuck],
    ["executed twice though not repeatable", of.executedTwice],
    ["connections", `${stats.created}, at most ${of.peakOpen} at once (${of.peakAllowed} allowed)`],
    ["  still open at the end", of.leakedSockets],
    ...of.leaked.map((socket): [string, string] => ["    its last request and state", socket]),
    ["outages", of.outages],
    ["replays, leaks, keep-alives", `${stats.replays}, ${stats.leaks}, ${stats.keepAlives.ok}`],
    ["served afterwards", of.servedAfterwards ? "yes" : "NO"],
    ["result", of.ok ? "every request is accounted for" : "SOMETHING IS MISSING"],
  ];
  return rows.map(([name, value]) => `${name.padEnd(52)}${value}`).join("\n");
}

function countsOf(counts: Readonly<Record<string, number>>, prefix: string): [string, number][] {
  return Object.entries(counts).map(([name, count]) => [prefix + name, count]);
}
