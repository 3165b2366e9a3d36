// As many operations and sessions as eight hours bring, as fast as they go, on a clock of their own.
import { sampleMemory } from "./heap-floor.ts";
import { Plant } from "./plant.ts";
import type { Measured, RunOptions, Sample } from "./record.ts";
import { SampleLog } from "./sample-log.ts";
import { GROUP_SESSIONS, Workload } from "./workload.ts";

export interface EquivalentOptions extends RunOptions {
  readonly sessions: number;
  readonly operations: number;
}

const EIGHT_HOURS_MS = 8 * 3_600_000;
/** Of 9,600 sessions in eight hours. */
const GROUP_MS = (EIGHT_HOURS_MS * GROUP_SESSIONS) / 9600;

export async function runEquivalent(options: EquivalentOptions): Promise<Measured> {
  const { sessions, operations, seed, plantBytes, plantEvery, warmUpSessions, signal, progress } =
    options;
  const plant = new Plant(plantBytes, plantEvery);
  const log = new SampleLog(Math.ceil(sessions / GROUP_SESSIONS));
  const workload = new Workload({
    seed,
    operations: Math.round(operations / sessions),
    groupMs: GROUP_MS,
    onSession: plant.leak,
  });
  for (let ended = 0; ended < warmUpSessions && !signal.aborted; ended += GROUP_SESSIONS) {
    await workload.runGroup();
    await sampleMemory();
    progress(`warm-up: ${ended + GROUP_SESSIONS} of ${warmUpSessions} sessions`);
  }
  const done = { operations: workload.operations, startedAt: performance.now() };
  for (let ended = 0; ended < sessions && !signal.aborted;) {
    await workload.runGroup();
    ended += GROUP_SESSIONS;
    const sample = await takeSample(workload, ended, done);
    log.add(sample);
    progress(
      `${ended} of ${sessions} sessions, ${sample.operations} operations, ` +
        `heap floor ${(sample.floorBytes / 1e6).toFixed(3)} MB`,
    );
  }
  const samples = log.samples();
  return {
    title: "The operations and sessions of eight hours",
    facts: {
      operations: samples.at(-1)?.operations ?? 0,
      sessions: samples.at(-1)?.sessions ?? 0,
      "sessions before": warmUpSessions,
      seed,
      "hours on the guard's clock": Number(((samples.length * GROUP_MS) / 3_600_000).toFixed(2)),
      ...workload.facts(),
    },
    samples,
    plantBytes,
    interrupted: signal.aborted,
    problems: workload.problems(),
  };
}

async function takeSample(
  workload: Workload,
  sessions: number,
  done: { readonly operations: number; readonly startedAt: number },
): Promise<Sample> {
  const { usedBytes, sessions: openSessions } = workload.guard.stats();
  const { floorBytes, codeBytes, rssBytes } = await sampleMemory();
  const { ledgerBytes, sessions: busySessions } = workload.takeBusiest();
  return {
    atMs: performance.now() - done.startedAt,
    sessions,
    operations: workload.operations - done.operations,
    floorBytes,
    codeBytes,
    rssBytes,
    ledgerBytes: usedBytes,
    openSessions,
    busyLedgerBytes: ledgerBytes,
    busySessions,
  };
}
