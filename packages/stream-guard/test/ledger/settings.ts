import type { StreamGuardOptions } from "@mcp-accel/stream-guard";

/** What a world is made of. */
export interface Settings {
  readonly name: string;
  readonly options: Omit<StreamGuardOptions, "now" | "schedule"> & {
    readonly maxMemoryBytes: number;
    readonly sessionMaxMemoryBytes: number;
  };
  /** Largest reservation tried. */
  readonly maxBytes: number;
  readonly principals: readonly (string | undefined)[];
  readonly streams: boolean;
}

const short = {
  reserveTimeoutMs: 5000,
  idleTimeoutMs: 60_000,
  evictAfterIdleMs: 1000,
  maxWaiting: 3,
  maxSessions: 6,
} as const;

const budgets = {
  ...short,
  maxMemoryBytes: 1000,
  sessionMaxMemoryBytes: 400,
  principalMaxMemoryBytes: 350,
  maxSessions: 10,
  maxSessionsPerPrincipal: 4,
} as const;

export const allSettings: readonly Settings[] = [
  {
    name: "plain",
    options: { ...short, maxMemoryBytes: 1000, sessionMaxMemoryBytes: 400 },
    maxBytes: 450,
    principals: [undefined],
    streams: false,
  },
  {
    name: "budgets",
    options: budgets,
    maxBytes: 400,
    principals: ["ann", "bob", "carl", undefined],
    streams: false,
  },
  {
    name: "budgets that fill the guard",
    options: { ...budgets, principalMaxMemoryBytes: 900, sessionMaxMemoryBytes: 900 },
    maxBytes: 200,
    principals: ["ann", "bob", "carl", undefined],
    streams: false,
  },
  {
    name: "one limit for all",
    options: { ...short, maxMemoryBytes: 1000, sessionMaxMemoryBytes: 1000, maxWaiting: 1 },
    maxBytes: 150,
    principals: [undefined, "ann"],
    streams: false,
  },
  {
    name: "many sessions",
    options: { ...budgets, maxSessions: 40, maxSessionsPerPrincipal: 40, maxWaiting: 2 },
    maxBytes: 90,
    principals: ["ann", "bob", "carl", "dora", "emil"],
    streams: false,
  },
  {
    name: "huge numbers",
    options: {
      ...budgets,
      maxMemoryBytes: Number.MAX_SAFE_INTEGER,
      sessionMaxMemoryBytes: Number.MAX_SAFE_INTEGER - 7,
      principalMaxMemoryBytes: 2 ** 52,
    },
    maxBytes: 2 ** 51,
    principals: ["ann", "bob", undefined],
    streams: false,
  },
  {
    name: "streams",
    options: { ...short, maxMemoryBytes: 1000, sessionMaxMemoryBytes: 400, stallTimeoutMs: 20_000 },
    maxBytes: 250,
    principals: [undefined],
    streams: true,
  },
  {
    name: "streams with budgets",
    options: { ...budgets, stallTimeoutMs: 20_000, maxPauseMs: 300 },
    maxBytes: 200,
    principals: ["ann", "bob", undefined],
    streams: true,
  },
];
