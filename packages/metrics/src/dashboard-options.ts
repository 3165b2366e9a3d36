import type { ActionRecord, DashboardAction } from "./dashboard-actions.ts";
import type { AlertSource } from "./dashboard-alerts.ts";
import { guardEndpoint } from "./endpoint-guard.ts";
import type { EndpointGuard, EndpointGuardOptions } from "./endpoint-guard.ts";
import { requireInteger } from "./endpoint-limits.ts";
import type { GuardRequest, Refusal } from "./endpoint-refusal.ts";
import { refuseAlways, tokenCheck } from "./endpoint-token.ts";
import type { TokenLimits } from "./endpoint-token.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";

export interface DashboardOptions {
  /** Shown at the top. Default `MCP server`. */
  readonly title?: string;
  /** Path the handler is mounted under. Default `/`. */
  readonly basePath?: string;
  /** Who is served; `false` serves everybody who reaches the dashboard. Default: requests for loopback hosts. */
  readonly guard?: EndpointGuardOptions | false;
  readonly alerts?: AlertSource;
  /** What an operator may do. Needs `actionToken`, or a token of the guard. */
  readonly actions?: readonly DashboardAction[];
  /** Asked for by actions. Default the token of the guard. */
  readonly actionToken?: string;
  /** Actions that may be started per minute. Default 10. */
  readonly actionsPerMinute?: number;
  /** Default 10,000 ms. */
  readonly actionTimeoutMs?: number;
  /** Gets every action that ran. */
  readonly log?: (record: ActionRecord) => void;
  /** Live clients at once. Default 20. */
  readonly maxClients?: number;
  /** Unread bytes at which a live client is dropped. Default 262,144. */
  readonly maxBufferedBytes?: number;
  /** Series of the history, each 7.2 kB. Default 300. */
  readonly maxSeries?: number;
  /** Values of one label that have a series of their own. Default 12. */
  readonly maxLabels?: number;
  /** Monotonic clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly date?: () => number;
}

export interface ResolvedDashboardOptions {
  readonly title: string;
  readonly basePath: string;
  readonly guard: EndpointGuard | undefined;
  readonly alerts: AlertSource | undefined;
  readonly actions: readonly DashboardAction[];
  readonly refuseAction: (request: GuardRequest) => Refusal | undefined;
  /** Actions ask for another token than the guard. */
  readonly ownActionToken: boolean;
  readonly actionsPerMinute: number;
  readonly actionTimeoutMs: number;
  readonly log: ((record: ActionRecord) => void) | undefined;
  readonly maxClients: number;
  readonly maxBufferedBytes: number;
  readonly maxSeries: number;
  readonly maxLabels: number;
  readonly now: () => number;
  readonly date: () => number;
}

export function resolveDashboardOptions(options: DashboardOptions): ResolvedDashboardOptions {
  requireObject("options", options);
  const { title = "MCP server", basePath = "/", alerts, actions = [], log } = options;
  const { actionsPerMinute = 10, actionTimeoutMs = 10_000, maxClients = 20 } = options;
  const { maxBufferedBytes = 262_144, maxSeries = 300, maxLabels = 12 } = options;
  const { now = () => performance.now(), date = () => Date.now() } = options;
  if (typeof title !== "string") throw new InvalidOptionError("title", "a text", title);
  if (typeof basePath !== "string" || !/^\/([\w.~-]+\/?)*$/.test(basePath)) {
    throw new InvalidOptionError("basePath", "a path that begins with /", basePath);
  }
  if (alerts !== undefined && typeof alerts.state !== "function") {
    throw new InvalidOptionError("alerts", "an object with state()", alerts);
  }
  if (!Array.isArray(actions) || actions.length > 50) {
    throw new InvalidOptionError("actions", "an array of at most 50", actions);
  }
  for (const [option, value] of Object.entries({ now, date, log: log ?? now })) {
    if (typeof value !== "function") throw new InvalidOptionError(option, "a function", value);
  }
  requireInteger("actionsPerMinute", actionsPerMinute, 1, 600);
  requireInteger("actionTimeoutMs", actionTimeoutMs, 1, 600_000);
  requireInteger("maxClients", maxClients, 1, 1_000);
  requireInteger("maxBufferedBytes", maxBufferedBytes, 1_024, 67_108_864);
  requireInteger("maxSeries", maxSeries, 1, 5_000);
  requireInteger("maxLabels", maxLabels, 1, 100);
  const { guard: guardOptions = {} } = options;
  if (guardOptions !== false) requireObject("guard", guardOptions);
  const limited = { now, ...guardOptions };
  const guard = guardOptions === false ? undefined : guardEndpoint(limited);
  const guardToken = guardOptions === false ? undefined : guardOptions.token;
  const { actionToken = guardToken } = options;
  if (actions.length > 0 && actionToken === undefined) {
    throw new InvalidOptionError("actionToken", "a token, since there are actions", actionToken);
  }
  const ownActionToken = actionToken !== guardToken;
  return {
    title,
    basePath: basePath.replace(/\/$/, ""),
    guard,
    alerts,
    actions,
    refuseAction: actionCheck(actionToken, ownActionToken ? undefined : guard, limited),
    ownActionToken,
    actionsPerMinute,
    actionTimeoutMs,
    log,
    maxClients,
    maxBufferedBytes,
    maxSeries,
    maxLabels,
    now,
    date,
  };
}

/** With the token of the guard its count of wrong ones, or an address had twice as many. */
function actionCheck(
  token: string | undefined,
  guard: EndpointGuard | undefined,
  limits: TokenLimits,
): (request: GuardRequest) => Refusal | undefined {
  if (token === undefined) return refuseAlways;
  if (guard !== undefined) return (request) => guard.refuseToken(request);
  return tokenCheck("actionToken", token, limits);
}
