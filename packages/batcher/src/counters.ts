import type { BatchOutcome } from "./controller.ts";
import type { Settlement } from "./job.ts";

/** Totals since the start. They only grow. */
export class Counters {
  accepted = 0;
  retries = 0;
  overloads = 0;
  deduplicated = 0;
  readonly settled: Record<Settlement, number> = {
    fulfilled: 0,
    rejected: 0,
    aborted: 0,
    expired: 0,
    closed: 0,
  };
  readonly batches: Record<BatchOutcome, number> = {
    ok: 0,
    partial: 0,
    failed: 0,
    "too-large": 0,
    timeout: 0,
  };
  readonly splits: Record<"too-large" | "poison", number> = { "too-large": 0, poison: 0 };
}
