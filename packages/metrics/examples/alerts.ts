import assert from "node:assert/strict";
import { Metrics } from "@mcp-accel/metrics";
import {
  Alerts,
  above,
  counter,
  defineRule,
  logSink,
  prometheusRules,
  ratio,
} from "@mcp-accel/metrics/alerts";

const jobs = { done: 0, failed: 0 };
const metrics = new Metrics({ runtime: false });
metrics.collect({
  metricFamilies: () =>
    (["done", "failed"] as const).map((what) => ({
      type: "counter",
      name: `jobs_${what}_total`,
      help: `Jobs ${what}`,
      unit: "",
      labels: [],
      read: () => [{ value: jobs[what] }],
    })),
});

const jobsFail = defineRule({
  name: "JobsFail",
  severity: "critical",
  summary: "{value} of the jobs fail",
  description: "Look at the worker's log.",
  runbook: "https://example.org/runbooks/jobs-fail",
  when: above(
    ratio(counter("jobs_failed_total"), counter("jobs_done_total"), {
      windowMs: 60_000,
      minSamples: 20,
    }),
    0.1,
    { clearBelow: 0.05 },
  ),
  forMs: 30_000,
});

const lines: string[] = [];
let clockMs = 0; // In a service leave `now` out, and call alerts.start().
const alerts = new Alerts(metrics, {
  rules: [jobsFail],
  sinks: [logSink((level, message) => lines.push(`${level}: ${message}`))],
  now: () => clockMs,
});
metrics.collect(alerts);

async function minutes(count: number, failing: number): Promise<void> {
  for (let quarter = 0; quarter < 4 * count; quarter += 1) {
    clockMs += 15_000;
    jobs.done += 20;
    jobs.failed += 20 * failing;
    await alerts.evaluate();
  }
}

assert.equal(alerts.state()[0]?.state, "no-data");
await minutes(2, 0);
assert.equal(alerts.state()[0]?.state, "inactive");
await minutes(3, 0.5);
assert.equal(alerts.state()[0]?.state, "firing");
await minutes(3, 0);

assert.equal(lines.length, 2);
assert.match(lines[0] ?? "", /^error: firing JobsFail: 0\.\d+ of the jobs fail$/);
assert.match(lines[1] ?? "", /^info: resolved JobsFail/);
assert.match(prometheusRules([jobsFail]), /alert: "JobsFail"/);
console.log(lines.join("\n"));

alerts.close();
metrics.close();
