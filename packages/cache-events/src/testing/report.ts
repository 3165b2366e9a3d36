import type { CacheNeed, CacheUnderTest } from "./cache-under-test.ts";
import { has } from "./cache-under-test.ts";
import { RaceError, StaleReadError } from "./errors.ts";
import type { History, HistoryCounts } from "./history.ts";
import type { JudgeOptions, StaleRead } from "./judge.ts";
import { judge } from "./judge.ts";

export type RaceUnit = "ms" | "steps";

export interface RaceReport extends HistoryCounts {
  /** Reads that returned a value. */
  readonly reads: number;
  readonly staleReads: number;
  /** Of the reads, from 0 to 1. */
  readonly staleShare: number;
  /** Longest time from the end of an invalidation to the start of a read that should have heeded it. */
  readonly longest: number;
  /** Of `longest` and of the moments in `evidence`: a step is one moment of a race in one process. */
  readonly unit: RaceUnit;
  readonly evidence: readonly StaleRead[];
  readonly foreign: readonly string[];
  /** Messages of the errors that the suite did not cause, the first of each. */
  readonly errors: readonly string[];
  /** What the cache does not have and was not tested for. */
  readonly skipped: readonly CacheNeed[];
  readonly seed: number;
}

const needs: readonly CacheNeed[] = [
  "namespaces",
  "lateTags",
  "signal",
  "staleWhileRevalidate",
  "delete",
  "set",
  "get",
  "peek",
  "clear",
  "clearPrefix",
  "clearNamespace",
  "write",
];

export function missing(cache: CacheUnderTest): readonly CacheNeed[] {
  return needs.filter((need) => !has(cache, need));
}

export interface ReportInit extends JudgeOptions {
  readonly seed: number;
  readonly skipped: readonly CacheNeed[];
  /** Moments recorded in "ms" are nanoseconds. */
  readonly unit: RaceUnit;
}

export function reportOn(histories: readonly History[], init: ReportInit): RaceReport {
  const { seed, skipped, unit, ...options } = init;
  const { reads, staleReads, longest, evidence, foreign } = judge(histories, options);
  const scale = unit === "ms" ? 1e-6 : 1;
  return {
    ...total(histories),
    reads,
    staleReads,
    staleShare: reads === 0 ? 0 : staleReads / reads,
    longest: longest * scale,
    unit,
    evidence: evidence.map((stale) => scaled(stale, scale)),
    foreign,
    errors: [...new Set(histories.flatMap(({ errors }) => errors))],
    skipped,
    seed,
  };
}

/** @throws StaleReadError, with evidence; RaceError when nothing was read, or nothing ever came from the cache. */
export function assertFresh(report: RaceReport): void {
  assertNothingStale(report);
  const { reads, hits, errors } = report;
  const met = errors.length === 0 ? "" : `; errors met: ${errors.join("; ")}`;
  if (reads === 0) throw new RaceError(`nothing was read, so nothing was shown${met}`);
  if (hits === 0) throw new RaceError(`nothing was ever cached, so nothing was shown${met}`);
}

/** @throws StaleReadError, with evidence. */
export function assertNothingStale(report: RaceReport): void {
  const { reads, staleReads, staleShare, evidence, foreign, seed, unit } = report;
  if (foreign.length > 0)
    throw new StaleReadError(`values that are not those of their key:\n${foreign.join("\n")}`, []);
  if (staleReads === 0) return;
  const share = `${(100 * staleShare).toFixed(2)} %`;
  throw new StaleReadError(
    `${staleReads} of ${reads} reads (${share}, seed ${seed}) were stale:\n${describeAll(evidence, unit)}`,
    evidence,
  );
}

const described = 3;

/** The first stale reads in words. */
export function describeAll(evidence: readonly StaleRead[], unit: RaceUnit): string {
  return evidence
    .slice(0, described)
    .map((stale) => describe(stale, unit))
    .join("\n");
}

function describe(stale: StaleRead, unit: RaceUnit): string {
  const { worker, subject, began, valueBegan, invalidation } = stale;
  const { scope, called, resolved, refused } = invalidation;
  const since = (from: number, to: number): string => `${Number((to - from).toFixed(6))} ${unit}`;
  return (
    `worker ${worker} read ${subject} ${since(resolved, began)} after worker ${invalidation.worker}'s invalidation of ` +
    `${scope} ${refused ? "was refused" : "had resolved"}, and got a value whose compute began ` +
    `${since(valueBegan, called)} before it was called`
  );
}

function scaled(stale: StaleRead, scale: number): StaleRead {
  const { invalidation, began, valueBegan } = stale;
  const { called, resolved } = invalidation;
  return {
    ...stale,
    began: began * scale,
    valueBegan: valueBegan * scale,
    invalidation: { ...invalidation, called: called * scale, resolved: resolved * scale },
  };
}

function total(histories: readonly History[]): HistoryCounts {
  const sum = (name: keyof HistoryCounts): number =>
    histories.reduce((all, { counts }) => all + counts[name], 0);
  return {
    computes: sum("computes"),
    hits: sum("hits"),
    failures: sum("failures"),
    empty: sum("empty"),
    confirmed: sum("confirmed"),
    refused: sum("refused"),
  };
}
