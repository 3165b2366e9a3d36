import type { Origin } from "./leak-origin.ts";

/**
 * - `heldBytes`: sessions that hold memory and have not moved for long
 * - `openSession`: sessions without memory, open and still for longer yet
 * - `ledger`: bytes charged to no open session
 * - `zombie`: sessions or handles that were closed and are still reachable
 * - `droppedHandle`: handles collected without having been closed
 * - `openHandle`: handles open for too long
 * - `heap`: the heap after major collections grows
 */
export type LeakKind = (typeof LEAK_KINDS)[number];

export const LEAK_KINDS = [
  "heldBytes",
  "openSession",
  "ledger",
  "zombie",
  "droppedHandle",
  "openHandle",
  "heap",
] as const;

export type Evidence = Readonly<Record<string, number | string>>;

/** Something that looks like a leak now. */
export interface Observation {
  readonly kind: LeakKind;
  readonly origin: Origin;
  readonly evidence: Evidence;
}

export interface LeakFinding {
  readonly kind: LeakKind;
  /** Where what leaks was made: function, file and line, or the name it was given. */
  readonly place: string;
  readonly stack: string | undefined;
  readonly evidence: Evidence;
  /** Milliseconds since the epoch. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** False once it is over; it is reported anew if it comes back. */
  readonly active: boolean;
  /** How often it began. */
  readonly times: number;
}

/** Findings by kind and place: each is told once when it begins, and again only after it was over. */
export class LeakFindings {
  readonly #maxFindings: number;
  readonly #now: () => number;
  readonly #onBegin: (finding: LeakFinding) => void;
  readonly #byKey = new Map<string, LeakFinding>();
  readonly totals: Record<LeakKind, number> = counts();
  /** Not kept, since `maxFindings` were active. */
  dropped = 0;

  constructor(maxFindings: number, now: () => number, onBegin: (finding: LeakFinding) => void) {
    this.#maxFindings = maxFindings;
    this.#now = now;
    this.#onBegin = onBegin;
  }

  get all(): readonly LeakFinding[] {
    return [...this.#byKey.values()];
  }

  active(): Record<LeakKind, number> {
    const active = counts();
    for (const finding of this.#byKey.values()) if (finding.active) active[finding.kind] += 1;
    return active;
  }

  /** All that is observed of `kinds` now; what is not among it is over. */
  update(kinds: readonly LeakKind[], observations: readonly Observation[]): void {
    const seen = new Set(observations.map((observation) => this.#observe(observation)));
    for (const [key, finding] of this.#byKey) {
      if (finding.active && kinds.includes(finding.kind) && !seen.has(key))
        this.#byKey.set(key, { ...finding, active: false });
    }
  }

  #observe({ kind, origin, evidence }: Observation): string {
    const { place, stack } = origin;
    const key = `${kind} ${place}`;
    const known = this.#byKey.get(key);
    if (known === undefined && !this.#makeRoom()) return key;
    const lastSeenMs = this.#now();
    const finding: LeakFinding = {
      kind,
      place,
      stack,
      evidence,
      firstSeenMs: known?.firstSeenMs ?? lastSeenMs,
      lastSeenMs,
      active: true,
      times: (known?.times ?? 0) + (known?.active === true ? 0 : 1),
    };
    this.#byKey.set(key, finding);
    if (known?.active === true) return key;
    this.totals[kind] += 1;
    this.#onBegin(finding);
    return key;
  }

  /** The oldest one that is over gives way. */
  #makeRoom(): boolean {
    if (this.#byKey.size < this.#maxFindings) return true;
    for (const [key, { active }] of this.#byKey) {
      if (active) continue;
      this.#byKey.delete(key);
      return true;
    }
    this.dropped += 1;
    return false;
  }
}

function counts(): Record<LeakKind, number> {
  return Object.fromEntries(LEAK_KINDS.map((kind) => [kind, 0])) as Record<LeakKind, number>;
}
