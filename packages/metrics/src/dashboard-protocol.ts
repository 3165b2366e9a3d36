/** What the server and the page say to each other. */
export const PANELS = ["tools", "cache", "pool", "batches", "process", "streams"] as const;

export type PanelName = (typeof PANELS)[number];

/** One second of the process. A value is found under the key of its measure, or under `key|label`. */
export interface DashboardFrame {
  /** Milliseconds since the epoch; never goes back. */
  readonly atMs: number;
  readonly values: Readonly<Record<string, number>>;
  /** Panels that any family of the process belongs to. */
  readonly panels: readonly PanelName[];
  readonly alerts: readonly AlertView[];
  /** Something watches for alerts. */
  readonly watched: boolean;
  /** Series that found no room in the history. */
  readonly droppedSeries: number;
}

export interface AlertView {
  readonly name: string;
  readonly severity: string;
  readonly state: "firing" | "pending" | "no-data";
  readonly summary: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sinceMs?: number;
  readonly value?: number;
}

export interface ActionView {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** Asked before it runs; empty for no question. */
  readonly confirm: string;
  readonly input?: ActionInputView;
}

export interface ActionInputView {
  readonly label: string;
  readonly type: "text" | "number";
  readonly choices: readonly string[];
  readonly maxLength: number;
}

export interface DashboardHistory {
  readonly title: string;
  /** Time over which rates and percentiles are taken. */
  readonly windowSeconds: number;
  readonly periodMs: number;
  /** Most frames that are kept. */
  readonly length: number;
  readonly atMs: readonly number[];
  readonly series: Readonly<Record<string, readonly (number | null)[]>>;
  readonly last: DashboardFrame | null;
  readonly actions: readonly ActionView[];
  /** An action needs a token that reading does not. */
  readonly actionToken: boolean;
}

export interface ActionAnswer {
  readonly ok: boolean;
  readonly message: string;
}
