import type { CacheNeed } from "./cache-under-test.ts";
import type { History } from "./history.ts";

/** What a worker is told once, when it starts. */
export interface WorkerPlan {
  /** URL of the module that exports `open`. */
  readonly module: string;
  readonly name: string;
  readonly worker: number;
  readonly seed: number;
  /** Origin of all moments, in ns of the monotonic clock that the processes of a host share. */
  readonly originNs: bigint;
  readonly clockOffsetMs: number;
  readonly ttlMs: number;
  readonly maxEntries: number;
  readonly actors: number;
  readonly computeMs: number;
  readonly data: unknown;
}

export type Command =
  | { readonly do: "open"; readonly plan: WorkerPlan }
  | { readonly do: "round"; readonly operations: number; readonly limitMs: number }
  | { readonly do: "collect" }
  | { readonly do: "close" };

export type Reply =
  | { readonly did: "open" | "round" | "close" }
  | { readonly did: "collect"; readonly history: History; readonly skipped: readonly CacheNeed[] }
  | { readonly did: "fail"; readonly error: string };
