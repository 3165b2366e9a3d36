import { spawnSync } from "node:child_process";
import { percent, report, tidy } from "./report.ts";
import type { Row, Table } from "./report.ts";
import { median, ratioInterval } from "./statistics.ts";
import type { Interval } from "./statistics.ts";

export interface Contender {
  readonly name: string;
  /** What one `run` does so many times: what the time is divided by. */
  readonly perRun: number;
  readonly run: () => unknown;
}

/** One table: every contender against the first of them. */
export interface Question {
  readonly title: string;
  /** The first is the baseline; it is measured twice, to show what is noise. */
  readonly contenders: readonly Contender[];
  /** Highest nanoseconds, or highest ratio to the baseline, of a contender. */
  /** Each measures every contender once; for runs that take long a few must do. */
  readonly rounds?: number;
  readonly goals?: Readonly<Record<string, { readonly ns?: number; readonly ratio?: number }>>;
}

interface Measured {
  /** Of the middle round. */
  readonly ns: number;
  readonly ratio: number;
}

const GENERATIONS = 5;
const ROUNDS = 30;
const SLICE_MS = 12;
const WARM_UP_MS = 250;
const CONTROL = "the first again";
/** A control further from 1 says that the machine is too busy to tell. */
const NOISE = 0.02;

/**
 * Measures in several processes one after the other, in each by turns in short slices; intervals (95 %) are
 * those of the processes' ratios.
 */
export async function ask(questions: readonly Question[]): Promise<void> {
  if (process.argv.includes("--generation")) {
    const results: Measured[][] = [];
    for (const question of questions) results.push(await measure(question));
    console.log(JSON.stringify(results));
    return;
  }
  const generations = Array.from({ length: GENERATIONS }, () => generation());
  report(
    questions.map((question, index) =>
      tableOf(
        question,
        generations.map((each) => each[index] ?? []),
      ),
    ),
  );
}

function generation(): Measured[][] {
  const args = [...process.execArgv, process.argv[1] ?? "", "--generation"];
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${process.argv[1]} failed`);
  return JSON.parse(stdout) as Measured[][];
}

function withControl({ contenders }: Question): readonly Contender[] {
  return [...contenders, ...contenders.slice(0, 1).map((first) => ({ ...first, name: CONTROL }))];
}

async function measure(question: Question): Promise<Measured[]> {
  const { rounds: count = ROUNDS } = question;
  const contenders = withControl(question);
  for (const contender of contenders) await slice(contender, WARM_UP_MS);
  const rounds: number[][] = contenders.map(() => []);
  for (let round = 0; round < count; round += 1) {
    const order = contenders.map((_, index) => (index + round) % contenders.length);
    for (const index of round % 2 === 0 ? order : order.toReversed())
      rounds[index]?.push(await slice(contenders[index]!, SLICE_MS));
  }
  const first = median(rounds[0] ?? []);
  return rounds.map((each) => ({ ns: median(each), ratio: median(each) / first }));
}

/** Nanoseconds of the thread's CPU time for each, over as many runs as take `durationMs`: those in which others had the CPU do not count. */
async function slice({ run, perRun }: Contender, durationMs: number): Promise<number> {
  const before = process.threadCpuUsage();
  const startedAt = performance.now();
  let runs = 0;
  do {
    const running = run();
    if (running instanceof Promise) await running;
    runs += 1;
  } while (performance.now() - startedAt < durationMs);
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1000) / runs / perRun;
}

function tableOf(question: Question, generations: readonly (readonly Measured[])[]): Table {
  const ratiosAt = (index: number): Interval =>
    ratioInterval(generations.map((each) => each[index]?.ratio ?? Number.NaN));
  const control = ratiosAt(question.contenders.length);
  const rows = withControl(question).map(({ name }, index): Row => {
    const ns = median(generations.map((each) => each[index]?.ns ?? Number.NaN));
    const row: Row = { name, ns: tidy(ns) };
    if (index === 0) return row;
    const ratio = ratiosAt(index);
    const { ns: goalNs, ratio: goalRatio } = question.goals?.[name] ?? {};
    return {
      ...row,
      "over the first": percent(ratio.mean),
      "95 % from": percent(ratio.low),
      to: percent(ratio.high),
      ...(goalNs !== undefined && {
        goal: `<= ${goalNs} ns`,
        verdict: ns <= goalNs ? "met" : "missed",
      }),
      ...(goalRatio !== undefined && {
        goal: `to <= ${percent(goalRatio)}`,
        verdict: verdict(ratio, goalRatio, control),
      }),
    };
  });
  return { title: question.title, rows };
}

function verdict({ low, high }: Interval, goal: number, control: Interval): string {
  if (high <= goal) return "met";
  if (low > goal) return "missed";
  return Math.abs(control.mean - 1) > NOISE ? "noise" : "undecided";
}
