import type { GroupExchange } from "./group-exchange.ts";
import type { ResolvedGroupOptions } from "./group-options.ts";
import type { GroupReport } from "./group-report.ts";
import type { HealthMonitor } from "./health-monitor.ts";
import type { HedgeQueue } from "./hedge-queue.ts";
import type { RecentQuantiles } from "./recent-quantiles.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { Router } from "./router.ts";
import type { WaitingSet } from "./waiting.ts";

/** What the requests of a group share. */
export interface GroupContext {
  /** The group's origin. */
  readonly name: string;
  readonly options: ResolvedGroupOptions;
  readonly report: GroupReport;
  readonly health: HealthMonitor;
  readonly router: Router;
  /** Times to the first byte of requests that may be sent twice. */
  readonly latencies: RecentQuantiles;
  readonly retries: RetryBudget;
  /** Undefined when there is no hedging. */
  readonly hedges:
    | { readonly queue: HedgeQueue<GroupExchange>; readonly budget: RetryBudget }
    | undefined;
  /** What a failure after `elapsedMs` costs an upstream whose average is `costMs`. */
  penaltyMs(elapsedMs: number, costMs: number): number;
  /** Why a request cannot be sent anywhere. */
  noRoute(exchange: GroupExchange): Error;
  /** Those that wait before they are sent again, so that the end of the group ends them. */
  readonly delayed: WaitingSet<GroupExchange>;
}
