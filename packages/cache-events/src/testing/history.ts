import { Rows } from "./rows.ts";

/** What is read: its scopes are everything whose invalidation concerns it. */
export interface Subject {
  readonly name: string;
  readonly scopes: readonly string[];
}

/** What one worker saw, as rows of numbers: it may be sent to another process as it is. */
export interface History {
  readonly worker: number;
  readonly subjects: readonly Subject[];
  readonly scopes: readonly string[];
  /** Subject, moment the read began, moment its value's compute began, number of the `set` it came from or -1. */
  readonly reads: Float64Array;
  /** Scope, moment the invalidation was called, moment it resolved or rejected, 1 when it resolved. */
  readonly cuts: Float64Array;
  /** Number of the `set`, moment it resolved. */
  readonly sets: Float64Array;
  /** Values that were not those of their key: none may be seen. */
  readonly foreign: readonly string[];
  /** Messages of the errors that the suite did not cause, the first of each. */
  readonly errors: readonly string[];
  readonly counts: HistoryCounts;
}

export interface HistoryCounts {
  /** Computes called. */
  computes: number;
  /** Reads whose own compute was not called. */
  hits: number;
  /** Reads that rejected. */
  failures: number;
  /** Reads that found nothing. */
  empty: number;
  /** Invalidations that resolved. */
  confirmed: number;
  /** Invalidations that rejected. */
  refused: number;
}

export const readWidth = 4;
export const cutWidth = 4;
export const setWidth = 2;
const keptTexts = 20;

/** Records what one worker sees. All moments are by one clock, common to all workers and monotonic. */
export class Recorder {
  readonly worker: number;
  readonly counts: HistoryCounts = {
    computes: 0,
    hits: 0,
    failures: 0,
    empty: 0,
    confirmed: 0,
    refused: 0,
  };
  readonly #subjects = new Map<string, number>();
  readonly #subjectList: Subject[] = [];
  readonly #scopes = new Map<string, number>();
  readonly #reads = new Rows(readWidth);
  readonly #cuts = new Rows(cutWidth);
  readonly #sets = new Rows(setWidth);
  readonly #foreign: string[] = [];
  readonly #errors = new Set<string>();

  constructor(worker: number) {
    this.worker = worker;
  }

  read(subject: Subject, began: number, valueBegan: number, set: number): void {
    this.#reads.add(this.#subject(subject), began, valueBegan, set);
  }

  cut(scopes: readonly string[], called: number, ended: number, resolved: boolean): void {
    for (const scope of scopes) this.#cuts.add(this.#scope(scope), called, ended, Number(resolved));
    if (resolved) this.counts.confirmed++;
    else this.counts.refused++;
  }

  set(number: number, resolved: number): void {
    this.#sets.add(number, resolved);
  }

  foreign(subject: Subject, value: unknown): void {
    if (this.#foreign.length < keptTexts)
      this.#foreign.push(
        `${subject.name}: ${(JSON.stringify(value) ?? "undefined").slice(0, 200)}`,
      );
  }

  failed(error: unknown): void {
    const text = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(
      0,
      200,
    );
    if (this.#errors.size < keptTexts) this.#errors.add(text);
  }

  history(): History {
    return {
      worker: this.worker,
      subjects: this.#subjectList,
      scopes: [...this.#scopes.keys()],
      reads: this.#reads.numbers(),
      cuts: this.#cuts.numbers(),
      sets: this.#sets.numbers(),
      foreign: this.#foreign,
      errors: [...this.#errors],
      counts: this.counts,
    };
  }

  #subject(subject: Subject): number {
    const known = this.#subjects.get(subject.name);
    if (known !== undefined) return known;
    this.#subjects.set(subject.name, this.#subjectList.length);
    return this.#subjectList.push({ name: subject.name, scopes: subject.scopes }) - 1;
  }

  #scope(scope: string): number {
    const known = this.#scopes.get(scope);
    if (known !== undefined) return known;
    this.#scopes.set(scope, this.#scopes.size);
    return this.#scopes.size - 1;
  }
}
