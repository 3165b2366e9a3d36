export {
  CacheClosedError,
  CacheError,
  CacheOptionError,
  InvalidationError,
  LoadTimeoutError,
  NotifyError,
  RuleError,
  SelectionError,
  StoreError,
  SubscriberTimeoutError,
  SubscriptionLimitError,
} from "./errors.ts";
export { EventCache } from "./event-cache.ts";
export { isFence } from "./shared-store.ts";
export type {
  CacheEventMap,
  CacheEventName,
  EvictEvent,
  HitEvent,
  InvalidateEvent,
  LoadEvent,
  MismatchEvent,
  MissEvent,
  StoreErrorEvent,
  SubscriberErrorEvent,
} from "./cache-events.ts";
export type { StoreErrorOptions, StoreErrorReason } from "./errors.ts";
export type { CacheEventBus, CacheInvalidationEvent, Subscriber } from "./event-bus.ts";
export type { Compute, ComputeContext } from "./flight.ts";
export type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
export type {
  Consistency,
  EventCacheOptions,
  GetOrSetOptions,
  KeyOptions,
  Rules,
  SetOptions,
} from "./options.ts";
export type { Selection } from "./selection.ts";
export type { FenceMirror, MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";
export type { CacheStats, NamespaceStats } from "./stats.ts";
export type { Timers } from "./timers.ts";
