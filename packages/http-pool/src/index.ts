export { publicAddressesOnly } from "./address-guard.ts";
export { ConnectionPool } from "./connection-pool.ts";
export {
  AddressNotAllowedError,
  BodyNotReadError,
  BodyTimeoutError,
  HttpPoolError,
  InvalidArgumentError,
  InvalidResponseError,
  PoolClosedError,
  PoolExhaustedError,
  QueueTimeoutError,
  RedirectError,
  RequestBodyTimeoutError,
  UpstreamUnavailableError,
} from "./errors.ts";
export { PoolAgent } from "./pool-agent.ts";

export type { CloseReason } from "./connection.ts";
export type { UpstreamErrorDetails } from "./errors.ts";
export type { PoolFetchInit } from "./fetch-request.ts";
export type { HealthCheckResult } from "./health-check.ts";
export type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
export type { ConnectionPoolOptions } from "./options.ts";
export type { PoolAgentOptions, PoolAgentStats } from "./pool-agent.ts";
export type {
  CloseEvent,
  ConnectErrorEvent,
  HealthCheckEvent,
  LeakEvent,
  OpenEvent,
  PoolEvents,
  ReplayEvent,
  RequestEvent,
  RequestOutcome,
  WaitEvent,
} from "./pool-events.ts";
export type { PoolStats, TimeStats } from "./pool-stats.ts";
export type { PoolDispatchOptions } from "./prepare-dispatch.ts";
export type { Schedule } from "./schedule.ts";
