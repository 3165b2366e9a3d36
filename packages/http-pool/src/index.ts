export { publicAddressesOnly } from "./address-guard.ts";
export { ConnectionPool } from "./connection-pool.ts";
export {
  AddressNotAllowedError,
  BodyNotReadError,
  BodyTimeoutError,
  CircuitOpenError,
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
export { RETRY_ERROR_CODES } from "./retry-codes.ts";
export { UpstreamGroup } from "./upstream-group.ts";

export type { CircuitState } from "./circuit-breaker.ts";
export type { CloseReason } from "./connection.ts";
export type { AnyHttpPoolError, GroupErrorDetails, UpstreamErrorDetails } from "./errors.ts";
export type { FailureKind } from "./failure-kind.ts";
export type { PoolFetchInit } from "./fetch-request.ts";
export type {
  CircuitEvent,
  EjectEvent,
  EjectReason,
  GroupEvents,
  HealthEvent,
  HedgeEvent,
  PanicEvent,
  ReadmitEvent,
  RetryEvent,
  RetryReason,
} from "./group-events.ts";
export type {
  Balance,
  CircuitBreakerOptions,
  HedgeOptions,
  OutlierOptions,
  ProbeOptions,
  RetryOptions,
  UpstreamGroupOptions,
  UpstreamOptions,
} from "./group-options.ts";
export type { UpstreamGroupStats, UpstreamStats } from "./group-stats.ts";
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
export type { PoolDispatchOptions, PoolRequestOptions, RequestLane } from "./prepare-dispatch.ts";
export type { ReplicaState } from "./replica.ts";
export type { Schedule } from "./schedule.ts";
