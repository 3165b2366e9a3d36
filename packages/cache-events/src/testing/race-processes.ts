import { within } from "../timers.ts";
import { RaceError } from "./errors.ts";
import type { History } from "./history.ts";
import type { Command, Reply } from "./race-messages.ts";
import type { RaceReport } from "./report.ts";
import { reportOn } from "./report.ts";
import { holdingTimers } from "./turns.ts";
import { WorkerLink } from "./worker-link.ts";

export interface FaultContext {
  /** Number of the round, from 0. */
  readonly round: number;
  /** Process ids of the workers, for signals such as SIGSTOP and SIGCONT. */
  readonly pids: readonly number[];
}

export interface Faults {
  /** Awaited while the round runs; what it broke may stay broken until `between`. */
  readonly during?: (context: FaultContext) => void | Promise<void>;
  /** Awaited after the round, when no operation is under way. */
  readonly between?: (context: FaultContext) => void | Promise<void>;
}

export interface RaceProcessesOptions {
  /** URL of a module, TypeScript or JavaScript, that exports `open`: see OpenCache. */
  readonly module: URL | string;
  /** Default 3. */
  readonly processes?: number;
  /** Default 4. */
  readonly rounds?: number;
  /** Of each process in a round; default 1,000. */
  readonly operations?: number;
  /** Operations under way at a time in each process; default 8. */
  readonly actors?: number;
  /** A compute takes up to this; default 3 ms. */
  readonly computeMs?: number;
  /** A round ends after this, whatever is left to do; default 5,000 ms. */
  readonly roundMs?: number;
  /** Longest time without an answer of a worker, beyond the round; default 30,000 ms. */
  readonly limitMs?: number;
  /** By how much the clock of each worker is set apart, in ms; default 0, 61,000, -61,000 and so on in turn. */
  readonly clockOffsetsMs?: readonly number[];
  /** Lifetime of entries, in ms; default 300,000. */
  readonly ttlMs?: number;
  /** Default 12. */
  readonly maxEntries?: number;
  readonly faults?: Faults;
  /** Staleness that the cache states for itself, in ms: no read that begins later than that may be stale. Default 0. */
  readonly toleratedMs?: number;
  /** Holds a worker to an invalidation that it was refused. Default false. */
  readonly refusedBindLocally?: boolean;
  /** Default 1. */
  readonly seed?: number;
  /** Handed to `open`; anything that can be cloned. */
  readonly data?: unknown;
  /** Arguments of Node for the workers; default: this process's. */
  readonly execArgv?: readonly string[];
}

const defaultOffsetsMs = [0, 61_000, -61_000];
let races = 0;

/**
 * Forks workers that use one cache each, in rounds, with faults in and between them, and judges what they saw together.
 *
 * @throws RaceError when a worker fails or does not answer, and whatever a fault throws.
 */
export async function raceProcesses(options: RaceProcessesOptions): Promise<RaceReport> {
  const { processes = 3, execArgv = process.execArgv, seed = 1, clockOffsetsMs } = options;
  if (clockOffsetsMs?.length === 0)
    throw new RaceError("clockOffsetsMs: expected at least one number, received none");
  const links = Array.from({ length: processes }, (_, worker) => new WorkerLink(worker, execArgv));
  try {
    const { histories, skipped } = await run(links, options);
    const { toleratedMs = 0, refusedBindLocally = false } = options;
    const tolerated = toleratedMs * 1e6;
    return reportOn(histories, { seed, skipped, unit: "ms", tolerated, refusedBindLocally });
  } finally {
    await Promise.all(links.map((link) => link.end()));
  }
}

async function run(
  links: readonly WorkerLink[],
  options: RaceProcessesOptions,
): Promise<{ histories: readonly History[]; skipped: RaceReport["skipped"] }> {
  const { rounds = 4, operations = 1_000, roundMs = 5_000, limitMs = 30_000, faults } = options;
  const shared = { name: `race-${process.pid}-p${++races}`, originNs: process.hrtime.bigint() };
  await Promise.all(
    links.map((link, worker) => link.ask(planOf(worker, options, shared), limitMs)),
  );
  const pids = links.map(({ pid }) => pid).filter((pid) => pid !== undefined);
  for (let round = 0; round < rounds; round++) {
    const context = { round, pids };
    await Promise.all([
      askAll(links, { do: "round", operations, limitMs: roundMs }, roundMs + limitMs),
      settled("during", faults?.during?.(context), roundMs + limitMs),
    ]);
    await settled("between", faults?.between?.(context), limitMs);
  }
  const replies = await askAll(links, { do: "collect" }, limitMs);
  await askAll(links, { do: "close" }, limitMs);
  const collected = replies.filter((reply) => reply.did === "collect");
  return {
    histories: collected.map(({ history }) => history),
    skipped: collected[0]?.skipped ?? [],
  };
}

async function settled(name: keyof Faults, fault: unknown, limitMs: number): Promise<void> {
  await within(
    Promise.resolve(fault),
    holdingTimers,
    limitMs,
    () => new RaceError(`faults.${name} did not settle within ${limitMs} ms`),
  );
}

function askAll(
  links: readonly WorkerLink[],
  command: Command,
  limitMs: number,
): Promise<readonly Reply[]> {
  return Promise.all(links.map((link) => link.ask(command, limitMs)));
}

interface Shared {
  readonly name: string;
  readonly originNs: bigint;
}

function planOf(
  worker: number,
  options: RaceProcessesOptions,
  { name, originNs }: Shared,
): Command {
  const { module, clockOffsetsMs = defaultOffsetsMs, seed = 1, data } = options;
  const { ttlMs = 300_000, maxEntries = 12, actors = 8, computeMs = 3 } = options;
  return {
    do: "open",
    plan: {
      module: String(module),
      name,
      worker,
      seed,
      originNs,
      clockOffsetMs: clockOffsetsMs[worker % clockOffsetsMs.length] ?? 0,
      ttlMs,
      maxEntries,
      actors,
      computeMs,
      data,
    },
  };
}
