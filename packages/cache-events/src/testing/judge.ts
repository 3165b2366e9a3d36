import type { History } from "./history.ts";
import { cutWidth, readWidth, setWidth } from "./history.ts";

export interface StaleRead {
  readonly worker: number;
  readonly subject: string;
  /** Moment the read began. */
  readonly began: number;
  /** Moment the compute of its value began; for a value that was set, the moment `set` resolved. */
  readonly valueBegan: number;
  readonly invalidation: Invalidation;
}

export interface Invalidation {
  readonly worker: number;
  readonly scope: string;
  readonly called: number;
  /** Moment it resolved, or rejected when `refused`. */
  readonly resolved: number;
  readonly refused: boolean;
}

export interface JudgeOptions {
  /** A read is stale only when it began longer than this after the invalidation resolved. Default 0, in the unit of the clock. */
  readonly tolerated?: number;
  /** Holds the worker that asked to an invalidation that rejected, too. Default false. */
  readonly refusedBindLocally?: boolean;
  /** Evidence kept; more is only counted. Default 100. */
  readonly evidence?: number;
}

export interface Verdict {
  readonly reads: number;
  readonly staleReads: number;
  /** Longest time, in the unit of the clock, from an invalidation's end to the start of a read that should have heeded it. */
  readonly longest: number;
  /** The first stale reads of every worker. */
  readonly evidence: readonly StaleRead[];
  /** Reads that returned the value of another key. */
  readonly foreign: readonly string[];
}

/**
 * Finds every read that returned a value whose compute began before an invalidation was called, although that invalidation had
 * resolved before the read began. Moments that are equal decide for the cache.
 */
export function judge(histories: readonly History[], options: JudgeOptions = {}): Verdict {
  const { tolerated = 0, refusedBindLocally = false, evidence: kept = 100 } = options;
  const floors = new FloorsByScope(histories, refusedBindLocally);
  const setAt = setMoments(histories);
  const evidence: StaleRead[] = [];
  let reads = 0;
  let staleReads = 0;
  let longest = 0;
  for (const { worker, subjects, reads: rows } of histories) {
    const lines = subjects.map(({ scopes }) => floors.of(worker, scopes));
    for (let at = 0; at < rows.length; at += readWidth) {
      const [subject = 0, began = 0, computed = 0, set = -1] = rows.subarray(at, at + readWidth);
      reads++;
      const valueBegan = set < 0 ? computed : (setAt.get(set) ?? Infinity);
      const invalidation = newest(lines[subject] ?? [], began - tolerated);
      if (invalidation === undefined || invalidation.called <= valueBegan) continue;
      staleReads++;
      longest = Math.max(longest, began - invalidation.resolved);
      const name = subjects[subject]?.name ?? "";
      if (evidence.length < kept)
        evidence.push({ worker, subject: name, began, valueBegan, invalidation });
    }
  }
  const foreign = histories.flatMap((history) => history.foreign);
  return { reads, staleReads, longest, evidence, foreign };
}

/** The invalidations of one scope by when they resolved, each with the one called last among those resolved by then. */
class Floors {
  readonly #cuts: Invalidation[] = [];
  #latest: Invalidation[] | undefined;

  add(cut: Invalidation): void {
    this.#cuts.push(cut);
  }

  /** Of the invalidations that resolved before `moment`, the one called last. */
  before(moment: number): Invalidation | undefined {
    const latest = (this.#latest ??= this.#sorted());
    let low = 0;
    let high = this.#cuts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cuts[middle]?.resolved ?? Infinity) < moment) low = middle + 1;
      else high = middle;
    }
    return latest[low - 1];
  }

  #sorted(): Invalidation[] {
    this.#cuts.sort((a, b) => a.resolved - b.resolved);
    let last: Invalidation | undefined;
    return this.#cuts.map((cut) => {
      if (last === undefined || cut.called > last.called) last = cut;
      return last;
    });
  }
}

class FloorsByScope {
  readonly #everywhere = new Map<string, Floors>();
  readonly #local = new Map<number, Map<string, Floors>>();

  constructor(histories: readonly History[], refusedBindLocally: boolean) {
    for (const { worker, scopes, cuts } of histories) {
      const own = this.#local.get(worker) ?? new Map<string, Floors>();
      this.#local.set(worker, own);
      for (let at = 0; at < cuts.length; at += cutWidth) {
        const [index = 0, called = 0, resolved = 0, confirmed = 0] = cuts.subarray(
          at,
          at + cutWidth,
        );
        const scope = scopes[index] ?? "";
        const refused = confirmed === 0;
        if (refused && !refusedBindLocally) continue;
        const into = refused ? own : this.#everywhere;
        floorsIn(into, scope).add({ worker, scope, called, resolved, refused });
      }
    }
  }

  of(worker: number, scopes: readonly string[]): readonly Floors[] {
    return scopes
      .flatMap((scope) => [this.#everywhere.get(scope), this.#local.get(worker)?.get(scope)])
      .filter((floors) => floors !== undefined);
  }
}

function floorsIn(map: Map<string, Floors>, scope: string): Floors {
  const floors = map.get(scope) ?? new Floors();
  map.set(scope, floors);
  return floors;
}

function newest(lines: readonly Floors[], moment: number): Invalidation | undefined {
  let last: Invalidation | undefined;
  for (const floors of lines) {
    const cut = floors.before(moment);
    if (cut !== undefined && (last === undefined || cut.called > last.called)) last = cut;
  }
  return last;
}

/** A value that was set counts from when `set` resolved: an invalidation that overlaps it may come before it. */
function setMoments(histories: readonly History[]): ReadonlyMap<number, number> {
  const moments = new Map<number, number>();
  for (const { sets } of histories) {
    for (let at = 0; at < sets.length; at += setWidth)
      moments.set(sets[at] ?? 0, sets[at + 1] ?? Infinity);
  }
  return moments;
}
