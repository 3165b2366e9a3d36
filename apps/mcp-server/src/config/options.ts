/** Every knob of the server: one table drives the configuration file, the environment, the flags and the help. */
export interface Option {
  /** Where it stands in the configuration file, for example `http.port`. */
  readonly path: string;
  readonly type: "integer" | "string" | "boolean" | "switch";
  readonly default: number | string | boolean;
  readonly help: string;
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
  /** A shorter flag beside the one made from the path. */
  readonly alias?: string;
  /** Never printed or logged. */
  readonly secret?: boolean;
}

const MiB = 1024 * 1024;

export const options = [
  {
    path: "http.host",
    type: "string",
    default: "127.0.0.1",
    alias: "host",
    help: "Loopback address of the MCP endpoint",
  },
  {
    path: "http.port",
    type: "integer",
    default: 7420,
    min: 0,
    max: 65_535,
    alias: "port",
    help: "Port of the MCP endpoint; 0 takes a free one",
  },
  {
    path: "http.maxBodyBytes",
    type: "integer",
    default: 4 * MiB,
    min: 1_024,
    max: 256 * MiB,
    help: "Largest request body; larger ones get 413",
  },
  {
    path: "http.maxSessions",
    type: "integer",
    default: 1_000,
    min: 1,
    max: 100_000,
    help: "Sessions of the 2025 protocols; more get 503 with Retry-After",
  },
  {
    path: "http.maxRequests",
    type: "integer",
    default: 4_000,
    min: 1,
    max: 400_000,
    help: "Requests and streams under way; more get 503 with Retry-After",
  },
  {
    path: "http.sessionIdleMs",
    type: "integer",
    default: 1_800_000,
    min: 1_000,
    max: 86_400_000,
    help: "A session without a request for this long is closed",
  },
  {
    path: "http.replayBytes",
    type: "integer",
    default: 8 * MiB,
    min: 0,
    max: 4_000 * MiB,
    help: "Memory for resuming interrupted streams of the 2025 protocols; 0 for none",
  },
  {
    path: "http.requestTimeoutMs",
    type: "integer",
    default: 30_000,
    min: 1_000,
    max: 600_000,
    help: "Time for a client to send its whole request",
  },
  {
    path: "ops.port",
    type: "integer",
    default: 7421,
    min: 0,
    max: 65_535,
    alias: "ops-port",
    help: "Port of /metrics, /stats, /healthz and /readyz on the same address; 0 takes a free one",
  },
  {
    path: "stdio.maxLineBytes",
    type: "integer",
    default: 4 * MiB,
    min: 1_024,
    max: 256 * MiB,
    help: "Longest message on stdin; longer ones are refused",
  },
  {
    path: "store",
    type: "string",
    default: "",
    alias: "store",
    help: "SQLite file of the swarm's state, or :memory:; a file in the user's state folder when empty",
  },
  {
    path: "cache.ttlMs",
    type: "integer",
    default: 300_000,
    min: 1,
    max: 86_400_000,
    help: "Longest life of a cached result",
  },
  {
    path: "cache.maxEntries",
    type: "integer",
    default: 10_000,
    min: 1,
    max: 10_000_000,
    help: "Cached results",
  },
  {
    path: "cache.maxBytes",
    type: "integer",
    default: 64 * MiB,
    min: 1_024,
    max: 64_000 * MiB,
    help: "Memory of cached results",
  },
  {
    path: "pool.maxConnections",
    type: "integer",
    default: 16,
    min: 1,
    max: 1_000,
    help: "Connections of fetch_url to one origin",
  },
  {
    path: "pool.queueTimeoutMs",
    type: "integer",
    default: 5_000,
    min: 1,
    max: 600_000,
    help: "Longest wait of fetch_url for a connection",
  },
  {
    path: "fetch.allowPrivate",
    type: "boolean",
    default: false,
    help: "Let fetch_url reach loopback and private addresses",
  },
  {
    path: "guard.maxMemoryBytes",
    type: "integer",
    default: 256 * MiB,
    min: 1 * MiB,
    max: 64_000 * MiB,
    help: "Memory of all streams together",
  },
  {
    path: "guard.streamMaxMemoryBytes",
    type: "integer",
    default: 8 * MiB,
    min: 512 * 1024,
    max: 4_000 * MiB,
    help: "Memory of one stream; a reader that falls further behind is cut off",
  },
  {
    path: "guard.stallTimeoutMs",
    type: "integer",
    default: 30_000,
    min: 100,
    max: 3_600_000,
    help: "An HTTP client that takes nothing for this long while bytes wait for it is cut off; sooner at 80 % of guard.maxMemoryBytes",
  },
  {
    path: "batch.maxSize",
    type: "integer",
    default: 500,
    min: 1,
    max: 10_000,
    help: "Tasks written in one transaction",
  },
  {
    path: "batch.maxConcurrent",
    type: "integer",
    default: 2,
    min: 1,
    max: 100,
    help: "Transactions and batch_call calls under way at once",
  },
  {
    path: "features.cache",
    type: "switch",
    default: "on",
    values: ["on", "shadow", "off"],
    help: "Cache results of read tools; shadow compares them and serves none",
  },
  { path: "features.pool", type: "switch", default: "on", help: "Reuse connections of fetch_url" },
  { path: "features.guard", type: "switch", default: "on", help: "Bound the memory of streams" },
  { path: "features.batch", type: "switch", default: "on", help: "Write tasks in batches" },
  {
    path: "features.metrics",
    type: "switch",
    default: "on",
    help: "Measure calls and serve /metrics",
  },
  {
    path: "log.level",
    type: "string",
    default: "info",
    values: ["fatal", "error", "warn", "info", "debug", "silent"],
    help: "Least level of the log lines on stderr",
  },
] as const satisfies readonly Option[];

type Value<O> = O extends { type: "integer" }
  ? number
  : O extends { type: "boolean" }
    ? boolean
    : O extends { type: "switch"; values: readonly (infer V)[] }
      ? V
      : O extends { type: "switch" }
        ? "on" | "off"
        : string;

/** The values by path, for example `config["http.port"]`. */
export type Config = { readonly [O in (typeof options)[number] as O["path"]]: Value<O> };

/** The texts that an option takes; undefined when it takes any. */
export function choicesOf({ type, values }: Option): readonly string[] | undefined {
  return values ?? (type === "switch" ? ["on", "off"] : undefined);
}

export function flagOf({ path, alias }: Option): string {
  return alias ?? longFlagOf(path);
}

/** `http.maxBodyBytes` is `--http-max-body-bytes`. */
export function longFlagOf(path: string): string {
  return path.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll(".", "-");
}

/** `http.maxBodyBytes` is `MCP_ACCEL_HTTP_MAX_BODY_BYTES`. */
export function variableOf(path: string): string {
  return `MCP_ACCEL_${longFlagOf(path).replaceAll("-", "_").toUpperCase()}`;
}
