import type { BatchOutcome } from "./controller.ts";
import type { Settlement } from "./job.ts";

/** Once nothing is queued or running, `accepted` is the sum of `settled`. */
export interface BatcherStats {
  readonly queuedItems: number;
  readonly queuedBytes: number;
  readonly runningBatches: number;
  readonly runningItems: number;
  readonly accepted: number;
  /** Items that shared another of their `dedupeKey`; they are not among those accepted. */
  readonly deduplicated: number;
  readonly settled: Readonly<Record<Settlement, number>>;
  readonly batches: Readonly<Record<BatchOutcome, number>>;
  readonly retries: number;
  readonly splits: Readonly<Record<"too-large" | "poison", number>>;
  readonly overloads: number;
  /** What the next batch may be. */
  readonly sizeLimit: number;
  readonly concurrencyLimit: number;
  readonly lingerMs: number;
  readonly retryTokens: number;
  readonly state: "open" | "paused" | "closed";
  /** Calls of a controller that threw or answered nonsense; the fixed limits were used instead. */
  readonly controllerErrors: number;
  readonly controller: Readonly<Record<string, number | string | boolean>>;
}
