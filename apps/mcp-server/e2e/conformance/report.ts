import type { Revision } from "./suite.ts";
import type { TargetName, Verdict } from "./verdict.ts";

export interface Run {
  readonly revision: Revision;
  readonly target: TargetName;
  readonly verdicts: readonly Verdict[];
}

/** A row for every run, then what did not pass, and why. */
export function printReport(runs: readonly Run[], extensions: ReadonlySet<string>): void {
  console.table(
    runs.map(({ revision, target, verdicts }) => ({
      revision,
      target,
      scenarios: verdicts.length,
      passed: count([{ verdicts }], "passed"),
      failed: count([{ verdicts }], "failed"),
      skipped: count([{ verdicts }], "skipped"),
    })),
  );
  for (const run of runs) printNotes(run);
  console.log(`\nExtensions of the protocol, not offered:\n    ${[...extensions].join(", ")}`);
}

export function count(runs: readonly Pick<Run, "verdicts">[], outcome: Verdict["outcome"]): number {
  const verdicts = runs.flatMap((run) => run.verdicts);
  return verdicts.filter((verdict) => verdict.outcome === outcome).length;
}

function printNotes({ revision, target, verdicts }: Run): void {
  const groups = Map.groupBy(
    verdicts.flatMap(({ scenario, outcome, notes }) =>
      notes.map((note) => ({ scenario, outcome, note })),
    ),
    ({ outcome, note }) => `${outcome}, ${note}`,
  );
  if (groups.size === 0) return;
  console.log(`\n${revision}, ${target}:`);
  for (const [title, group] of groups)
    console.log(`  ${title}\n    ${group.map(({ scenario }) => scenario).join(", ")}`);
}
