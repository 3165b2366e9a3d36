export { cacheConformance } from "./testing/conformance.ts";
export { RaceError, StaleReadError } from "./testing/errors.ts";
export { eventCacheUnderTest } from "./testing/event-cache.ts";
export { judge } from "./testing/judge.ts";
export { race } from "./testing/race.ts";
export { raceProcesses } from "./testing/race-processes.ts";
export { assertFresh, assertNothingStale } from "./testing/report.ts";
export type {
  CacheFeature,
  CacheNeed,
  CacheUnderTest,
  ComputeContextUnderTest,
  ComputeUnderTest,
  GetOrSetOptionsUnderTest,
  KeyOptionsUnderTest,
  KnownEntry,
  OpenCache,
  OpenContext,
  SetOptionsUnderTest,
} from "./testing/cache-under-test.ts";
export type {
  ConformanceCase,
  ConformanceOptions,
  ConformanceOutcome,
  RunnerContext,
} from "./testing/conformance.ts";
export type { EventCacheLike, EventCacheUnderTestOptions } from "./testing/event-cache.ts";
export type { History, HistoryCounts, Subject } from "./testing/history.ts";
export type { Invalidation, JudgeOptions, StaleRead, Verdict } from "./testing/judge.ts";
export type { RaceOptions } from "./testing/race.ts";
export type { FaultContext, Faults, RaceProcessesOptions } from "./testing/race-processes.ts";
export type { RaceReport, RaceUnit } from "./testing/report.ts";
