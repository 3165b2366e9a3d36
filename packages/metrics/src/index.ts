export { OTHER } from "./cardinality.ts";
export { guardEndpoint } from "./endpoint-guard.ts";
export { UnsafeBindError, listen } from "./endpoint-listen.ts";
export {
  AlreadyCollectedError,
  FamilyConflictError,
  InvalidFamilyError,
  InvalidOptionError,
  InvalidSampleError,
  MetricsClosedError,
  MetricsError,
  NestedReadError,
  UnsupportedServerError,
} from "./errors.ts";
export { MCP_METHODS } from "./methods.ts";
export { Metrics } from "./metrics.ts";
export type { Collectable } from "./collect.ts";
export type { EndpointGuard, EndpointGuardOptions } from "./endpoint-guard.ts";
export type { ListenOptions, Listener } from "./endpoint-listen.ts";
export type { GuardRequest, Refusal } from "./endpoint-refusal.ts";
export type { TokenLimits } from "./endpoint-token.ts";
export type { EndpointHandler, ScrapeHandlerOptions } from "./handler.ts";
export type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
export type { CollectErrorEvent, CollectOptions, MetricsEvents, MetricsStats } from "./metrics.ts";
export type { Operation, OperationMetrics, StartedOperation, Stopwatch } from "./operations.ts";
export type { MetricsOptions, TierOptions } from "./options.ts";
export type { FamilySnapshot, HistogramSnapshot, ScalarSnapshot } from "./snapshot.ts";
