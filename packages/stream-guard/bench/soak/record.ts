import type { Trend } from "./trend.ts";

/** Taken when no session is open. */
export interface Sample {
  readonly atMs: number;
  /** Ended since the beginning. */
  readonly sessions: number;
  readonly operations: number;
  readonly floorBytes: number;
  readonly codeBytes: number;
  readonly rssBytes: number;
  /** What the guard says is in use, and open: both must be 0. */
  readonly ledgerBytes: number;
  readonly openSessions: number;
  /** The most that was in use, and open, since the sample before. */
  readonly busyLedgerBytes: number;
  readonly busySessions: number;
}

/** What one run measured. */
export interface Measured {
  readonly title: string;
  /** Shown in the report, as they are. */
  readonly facts: Readonly<Record<string, number | string>>;
  readonly samples: readonly Sample[];
  readonly plantBytes: number;
  readonly interrupted: boolean;
  /** Anything that went wrong, apart from what the samples say. */
  readonly problems: readonly string[];
}

export interface Verdict {
  readonly passed: boolean;
  readonly text: string;
  readonly trend: Trend | undefined;
}

/** What every kind of run is told. */
export interface RunOptions {
  readonly seed: number;
  /** Bytes leaked on purpose with each session. */
  readonly plantBytes: number;
  /** They come together after so many sessions. */
  readonly plantEvery: number;
  /** Ended before anything is measured. */
  readonly warmUpSessions: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}
