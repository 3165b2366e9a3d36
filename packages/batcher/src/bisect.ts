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

/** So many culprits tell how dense they are. */
const telling = 3;
/** Rounds of samples without a pass that end a search in which something passed before. */
const mostDoubts = 3;
/** Groups of about this many expected culprits are the quickest to search. */
const culpritsInGroup = 0.5;
/** Steps of the golden section spread any number of samples evenly, and keep in step with no pattern. */
const golden = (Math.sqrt(5) - 1) / 2;

/**
 * Finds the bad jobs of a batch that failed as a whole, by binary splitting with inference (F. K. Hwang, "A method for
 * detecting all defective members in a population by group testing", 1972): when one half passes, the other must hold the
 * culprit and is not run as a whole again, and what the search set aside is run in groups afterwards, of a size that fits how many
 * are bad. One bad job in n costs at most about log2(n) + 4 calls, many bad ones little more than one call for each job. A job is
 * blamed only after a call of its own failed.
 *
 * When log2(n) + 1 calls in a row have failed, either bad jobs stand together or the items are not to blame. Then jobs from all over
 * the rest are run alone: one that passes is the proof that the search makes sense. When log2(n) + 4 of them fail and nothing has
 * passed so far, or three times so many since the last pass, it gives up, and what is left fails with the last error. So it does
 * after any verdict but `poison`.
 */
export async function bisect<J>(
  jobs: readonly J[],
  failure: CallFailure,
  host: BisectHost<J>,
): Promise<void> {
  await new Search(jobs, failure, host).run();
}

class Search<J> {
  readonly #host: BisectHost<J>;
  readonly #patience: number;
  readonly #most: number;
  #suspects: readonly J[];
  #known = true;
  /** What nothing is known about. */
  #pool: J[] = [];
  #groupSize: number;
  #blamed = 0;
  #resolved = 0;
  #failuresInRow = 0;
  #passes = 0;
  #doubts = 0;
  #error: unknown;

  constructor(jobs: readonly J[], { error }: CallFailure, host: BisectHost<J>) {
    this.#host = host;
    this.#patience = Math.ceil(Math.log2(jobs.length));
    this.#most = jobs.length;
    this.#suspects = jobs;
    this.#groupSize = jobs.length;
    this.#error = error;
  }

  async run(): Promise<void> {
    while (this.#suspects.length > 0) {
      const suspects = this.#suspects;
      // A group known to hold a culprit is halved at once; others, and a leaf, are run as they are.
      const half =
        this.#known && suspects.length > 1 ? suspects.slice(0, suspects.length >> 1) : suspects;
      const failed = await this.#attempt(half);
      if (failed !== undefined && failed.verdict !== "poison") {
        this.#giveUp();
        return;
      }
      if (failed === undefined) this.#onPass(half.length);
      else this.#onFailure(half);
      if (this.#failuresInRow > this.#patience && !(await this.#makesSense())) return;
    }
  }

  #onPass(count: number): void {
    this.#resolved += count;
    const rest = this.#suspects.slice(count);
    // Of a known group the rest is known; of any other there is no rest.
    if (rest.length > 0) this.#suspects = rest;
    else {
      this.#groupSize = Math.min(this.#groupSize * 2, this.#most);
      this.#next();
    }
  }

  #onFailure(half: readonly J[]): void {
    this.#pool = [...this.#suspects.slice(half.length), ...this.#pool];
    const [culprit] = half;
    if (half.length > 1) {
      this.#suspects = half;
      this.#known = true;
    } else if (culprit !== undefined) {
      this.#blame(culprit, this.#error);
      this.#groupSize = Math.max(1, this.#groupSize >> 1);
      this.#next();
    }
  }

  #next(): void {
    const dense = this.#blamed >= telling;
    const fitting = dense ? (this.#resolved / this.#blamed) * culpritsInGroup : this.#most;
    this.#groupSize = Math.max(1, Math.min(this.#groupSize, Math.floor(fitting)));
    this.#suspects = this.#pool.slice(0, this.#groupSize);
    this.#pool = this.#pool.slice(this.#groupSize);
    this.#known = false;
  }

  /** Runs single jobs of the pool until one passes. False: none did, and the search is over. */
  async #makesSense(): Promise<boolean> {
    const failed: (readonly [J, unknown])[] = [];
    const samples = this.#patience + 4;
    for (let sample = 1; sample <= samples && this.#pool.length > 0; sample++) {
      const index = Math.floor(this.#pool.length * ((sample * golden) % 1));
      for (const witness of this.#pool.splice(index, 1)) {
        const failure = await this.#attempt([witness]);
        if (failure === undefined) {
          this.#resolved += 1;
          return this.#goOn(failed);
        }
        failed.push([witness, failure.error]);
        if (failure.verdict !== "poison") return this.#giveUp(failed);
      }
    }
    this.#doubts += 1;
    const over = failed.length === samples && (this.#passes === 0 || this.#doubts === mostDoubts);
    return over ? this.#giveUp(failed) : this.#goOn(failed);
  }

  #goOn(failed: readonly (readonly [J, unknown])[]): boolean {
    for (const [job, error] of failed) this.#blame(job, error);
    return true;
  }

  async #attempt(jobs: readonly J[]): Promise<CallFailure | undefined> {
    const failed = await this.#host.attempt(jobs);
    if (failed !== undefined) this.#error = failed.error;
    this.#failuresInRow += 1;
    if (failed !== undefined) return failed;
    this.#failuresInRow = 0;
    this.#doubts = 0;
    this.#passes += 1;
    return undefined;
  }

  #blame(job: J, error: unknown): void {
    this.#blamed += 1;
    this.#resolved += 1;
    this.#host.blame(job, error);
  }

  #giveUp(failed: readonly (readonly [J, unknown])[] = []): boolean {
    const tried = failed.map(([job]) => job);
    this.#host.giveUp([...tried, ...this.#suspects, ...this.#pool], this.#error);
    return false;
  }
}
