import type { Verdict } from "./failure.ts";

export interface CallFailure {
  readonly error: unknown;
  readonly verdict: Verdict;
  /** How many jobs the failed call had. */
  readonly size: number;
}

export interface BisectHost<J> {
  /** Runs the jobs as one call. `undefined` means that the call succeeded. */
  attempt(jobs: readonly J[]): Promise<CallFailure | undefined>;
  blame(job: J, error: unknown): void;
  giveUp(jobs: readonly J[], error: unknown): void;
}

/**
 * Finds the bad jobs of a batch that failed as a whole, by binary splitting with inference (F. K. Hwang, "A method for
 * detecting all defective members in a population by group testing", 1972): when one half passes, the other must hold the
 * culprit and is not run as a whole again, and what the search set aside is run in groups afterwards. One bad job in n costs
 * at most about log2(n) + 4 calls. A job is blamed only after a call of its own failed.
 *
 * More than 2 * log2(n) + 4 failed calls in a row mean that the items are not to blame: the search gives up, and what is
 * left fails with the last error. So does any verdict but `poison`.
 */
export async function bisect<J>(
  jobs: readonly J[],
  failure: CallFailure,
  host: BisectHost<J>,
): Promise<void> {
  const patience = 2 * Math.ceil(Math.log2(jobs.length)) + 4;
  let failuresInRow = 0;
  let groupSize = jobs.length;
  let suspects = jobs;
  let known = true;
  let pool: readonly J[] = [];
  let error = failure.error;

  while (suspects.length > 0) {
    // A group known to hold a culprit is halved at once; others, and a leaf, are run as they are.
    const half = known && suspects.length > 1 ? suspects.slice(0, suspects.length >> 1) : suspects;
    const failed = await host.attempt(half);
    if (failed !== undefined) {
      failuresInRow += 1;
      error = failed.error;
      if (failed.verdict !== "poison" || (half.length > 1 && failuresInRow > patience)) {
        host.giveUp([...suspects, ...pool], error);
        return;
      }
    } else failuresInRow = 0;

    if (failed !== undefined && half.length > 1) {
      pool = [...suspects.slice(half.length), ...pool];
      suspects = half;
      known = true;
    } else if (failed === undefined && half.length < suspects.length) {
      suspects = suspects.slice(half.length);
    } else {
      if (failed !== undefined) {
        for (const culprit of half) host.blame(culprit, error);
        pool = [...suspects.slice(half.length), ...pool];
        groupSize = Math.max(1, groupSize >> 1);
      } else groupSize = Math.min(jobs.length, groupSize * 2);
      suspects = pool.slice(0, groupSize);
      pool = pool.slice(groupSize);
      known = false;
    }
  }
}
