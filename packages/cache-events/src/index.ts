export { cacheKey } from "./cache-key.ts";
export {
  CacheClosedError,
  CacheCycleError,
  CacheError,
  CacheOptionError,
  InvalidationError,
  LoadTimeoutError,
  NotifyError,
  RuleError,
  SelectionError,
  StoreError,
  SubscriberBusyError,
  SubscriberTimeoutError,
  SubscriptionLimitError,
} from "./errors.ts";
export { CacheEventBus } from "./event-bus.ts";
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
  StaleHitEvent,
  StoreErrorEvent,
  SubscriberErrorEvent,
} from "./cache-events.ts";
export type { BatchContext, BatchResult, ComputeMany } from "./batch.ts";
export type { CacheKey, PlainKey } from "./cache-key.ts";
export type { StoreErrorOptions, StoreErrorReason } from "./errors.ts";
export type { BusMember, BusOptions, CacheInvalidationEvent, Subscriber } from "./event-bus.ts";
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
  GetOrSetManyOptions,
  GetOrSetOptions,
  KeyOptions,
  LoadOptions,
  Rules,
  SetManyOptions,
  SetOptions,
  TagsOf,
} from "./options.ts";
export type { EventSelection, Selection } from "./selection.ts";
export type { FenceMirror, MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";
export type { CacheStats, NamespaceStats, TagStats } from "./stats.ts";
export type { Timers } from "./timers.ts";
