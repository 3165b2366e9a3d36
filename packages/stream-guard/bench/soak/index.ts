// Does memory grow with the sessions that were served?
//
//   npm run soak -w @mcp-accel/stream-guard                    as many operations as in 8 hours (CI)
//   npm run soak -w @mcp-accel/stream-guard -- --plant 32      the same with a leak, which must be found
//   npm run soak -w @mcp-accel/stream-guard -- --duration 8h   8 hours over HTTP, at --rate sessions a second
//
// Exit status 0 when it passed. An interrupt ends a run early, with a report of what was measured.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runEquivalent } from "./equivalent.ts";
import { reportHtml } from "./html.ts";
import { judge } from "./judge.ts";
import { runLive } from "./live.ts";
import { durationMs, whole } from "./numbers.ts";
import { Progress } from "./progress.ts";
import type { Measured, RunOptions } from "./record.ts";
import { repeat } from "./repeat.ts";

const { values } = parseArgs({
  options: {
    bound: { type: "string", default: "8" },
    duration: { type: "string" },
    html: { type: "string" },
    json: { type: "string" },
    operations: { type: "string" },
    plant: { type: "string", default: "0" },
    "plant-every": { type: "string", default: "1" },
    rate: { type: "string", default: "50" },
    runs: { type: "string" },
    seed: { type: "string", default: "1" },
    sessions: { type: "string", default: "9600" },
    "warm-up": { type: "string", default: "1600" },
  },
});

process.exitCode = (await (values.runs === undefined
  ? runOnce()
  : repeat(whole("runs", values.runs))))
  ? 0
  : 1;

async function runOnce(): Promise<boolean> {
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  const progress = new Progress();
  const options: RunOptions = {
    seed: whole("seed", values.seed),
    plantBytes: whole("plant", values.plant),
    plantEvery: whole("plant-every", values["plant-every"]),
    warmUpSessions: whole("warm-up", values["warm-up"]),
    signal: interrupt.signal,
    progress: progress.say,
  };
  const startedAt = performance.now();
  const measured = await measure(options);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const facts: Measured["facts"] = {
    ...measured.facts,
    "seconds it took": seconds,
    node: process.version,
  };
  const verdict = judge(measured, whole("bound", values.bound));
  progress.end();
  if (values.json !== undefined)
    writeFileSync(values.json, JSON.stringify({ ...measured, facts, verdict }));
  if (values.html !== undefined)
    writeFileSync(values.html, reportHtml({ ...measured, facts }, verdict));
  console.log(
    `${verdict.passed ? "passed" : "FAILED"}: ${verdict.text} ` +
      `(99 % interval over ${measured.samples.length} samples, ${facts["sessions"]} sessions, ` +
      `${facts["operations"]} operations, ${seconds} s)`,
  );
  return verdict.passed;
}

function measure(options: RunOptions): Promise<Measured> {
  if (values.duration !== undefined) {
    const rate = whole("rate", values.rate);
    return runLive({ ...options, rate, durationMs: durationMs(values.duration) });
  }
  const sessions = whole("sessions", values.sessions);
  const operations = whole("operations", values.operations ?? String(sessions * 600));
  return runEquivalent({ ...options, sessions, operations });
}
