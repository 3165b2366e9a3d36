import { Dashboard } from "./dashboard-server.ts";
import type { DashboardMetrics } from "./dashboard-server.ts";
import type { DashboardOptions } from "./dashboard-options.ts";

export { Dashboard } from "./dashboard-server.ts";
export { DashboardFilesError } from "./dashboard-assets.ts";
export { guardEndpoint } from "./endpoint-guard.ts";
export { UnsafeBindError, listen } from "./endpoint-listen.ts";
export type { ActionOutcome, ActionRecord, DashboardAction } from "./dashboard-actions.ts";
export type { AlertLike, AlertSource } from "./dashboard-alerts.ts";
export type { DashboardOptions } from "./dashboard-options.ts";
export type { DashboardMetrics, DashboardStats } from "./dashboard-server.ts";
export type { EndpointGuard, EndpointGuardOptions } from "./endpoint-guard.ts";
export type { ListenOptions, Listener } from "./endpoint-listen.ts";
export type { GuardRequest, Refusal } from "./endpoint-refusal.ts";
export type { TokenLimits } from "./endpoint-token.ts";
export type { EndpointHandler } from "./handler.ts";

/**
 * One page for the operator, fed from the snapshots of `metrics` once a second until it is closed.
 *
 * Throws `InvalidOptionError` for a wrong option.
 */
export function dashboard(metrics: DashboardMetrics, options: DashboardOptions = {}): Dashboard {
  return new Dashboard(metrics, options);
}
