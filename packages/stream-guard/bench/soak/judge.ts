import type { Measured, Sample, Verdict } from "./record.ts";
import { MIN_POINTS } from "./slope.ts";
import type { Slope } from "./slope.ts";
import { trendOf } from "./trend.ts";
import type { Trend } from "./trend.ts";

/**
 * A clean run passes when the interval of the slope, apart from a step or two that do not recur, lies within
 * `boundBytes` of 0 a session; one with a
 * planted leak passes when the leak is found, which is to say that the interval lies above them.
 */
export function judge(measured: Measured, boundBytes: number): Verdict {
  const { samples, plantBytes, problems } = measured;
  const unclean = samples.find((sample) => sample.ledgerBytes !== 0 || sample.openSessions !== 0);
  if (unclean !== undefined) return failed(describeUnclean(unclean));
  if (problems[0] !== undefined) return failed(problems[0]);
  if (samples.length < MIN_POINTS)
    return failed(`undecided: ${samples.length} samples, but ${MIN_POINTS} are needed; run longer`);
  const trend = trendOf(
    samples.map(({ sessions, floorBytes }) => ({ x: sessions, y: floorBytes })),
    boundBytes,
  );
  const { slope } = trend;
  const leaks = slope.low > boundBytes;
  const flat = slope.low >= -boundBytes && slope.high <= boundBytes;
  const found = `${interval(slope)} B a session${describeSteps(trend)}`;
  if (plantBytes > 0 && leaks)
    return { passed: true, text: `the planted leak is found: ${found}`, trend };
  if (plantBytes > 0)
    return { ...failed(`a leak of ${plantBytes} B was planted and not found: ${found}`), trend };
  if (flat) return { passed: true, text: `no leak: ${found}`, trend };
  if (leaks) return { ...failed(`a leak: ${found}`), trend };
  return { ...failed(`undecided: ${found} is not within ±${boundBytes}; run longer`), trend };
}

export function interval({ low, high }: Slope): string {
  return `${low.toFixed(2)} to ${high.toFixed(2)}`;
}

function describeSteps({ model, steps }: Trend): string {
  if (steps.length === 0) return "";
  const kib = steps.map(({ size }) => (size / 1024).toFixed(0)).join(", ");
  const part = { line: "with all", levels: "apart from", staircase: "with all" }[model];
  return `, ${part} ${steps.length} ${steps.length === 1 ? "step" : "steps"} of ${kib} KiB`;
}

function failed(text: string): Verdict {
  return { passed: false, text, trend: undefined };
}

function describeUnclean({ sessions, ledgerBytes, openSessions }: Sample): string {
  return `after ${sessions} sessions ${openSessions} were still open, and the ledger held ${ledgerBytes} bytes`;
}
