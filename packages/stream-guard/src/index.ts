export { CaptureRefusedError } from "./capture-errors.ts";
export {
  AcquireTimeoutError,
  AdmissionError,
  DestinationClosedError,
  DrainTimeoutError,
  InvalidArgumentError,
  MemoryLimitError,
  MessageTooLargeError,
  OverReleaseError,
  PoolClosedError,
  QueueFullError,
  ReaderStalledError,
  SessionClosedError,
  StreamGuardError,
  UploadStalledError,
} from "./errors.ts";
export { LeakDetector } from "./leak-detector.ts";
export { memoryLimitBytes } from "./memory-limits.ts";
export { MemoryMonitor } from "./memory-monitor.ts";
export { ResourcePool } from "./resource-pool.ts";
export { StreamGuard } from "./stream-guard.ts";

export type { CaptureRefusal } from "./capture-errors.ts";
export type { Chunk } from "./chunk-size.ts";
export type { AdmissionReason, LimitScope, MemoryLimitDetails } from "./errors.ts";
export type {
  CloseEvent,
  EvictEvent,
  LevelEvent,
  LimitEvent,
  OpenEvent,
  RejectEvent,
  SoftLimitEvent,
  StreamGuardEvents,
  WaitEvent,
} from "./guard-events.ts";
export type { EvictReason, StreamGuardStats } from "./guard-counts.ts";
export type {
  CpuProfile,
  Headroom,
  HeapProfile,
  ProfileOptions,
  SnapshotOptions,
} from "./heap-capture.ts";
export type { LeakDetectorEvents, LeakDetectorStats } from "./leak-detector.ts";
export type { Evidence, LeakFinding, LeakKind } from "./leak-findings.ts";
export type { TrackedHandle, TrackOptions } from "./leak-handles.ts";
export type { LeakDetectorOptions } from "./leak-options.ts";
export type { LevelThresholds, MemoryLevel } from "./level.ts";
export type { MemoryEnvironment, ReadTextFile } from "./memory-limits.ts";
export type { HookErrorEvent, HookLevel } from "./memory-hooks.ts";
export type { MajorCollections } from "./major-collections.ts";
export type {
  MemoryHook,
  MemoryMonitorEvents,
  MemoryMonitorOptions,
  MonitorLevelEvent,
} from "./memory-monitor.ts";
export type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
export type { MemoryLimits, MemoryMonitorStats, MemorySample } from "./monitor-families.ts";
export type { OpenOptions, StreamGuardOptions } from "./options.ts";
export type { Permit } from "./permit.ts";
export type { PipedBatches } from "./pipe.ts";
export type {
  AcquireEvent,
  LongHoldEvent,
  PoolRejectEvent,
  PoolRejectReason,
  ReleaseEvent,
  ResourcePoolEvents,
} from "./pool-events.ts";
export type { HeapSample } from "./process-memory.ts";
export type { Reader, ReaderWait } from "./reader.ts";
export type { ResourcePoolStats } from "./pool-families.ts";
export type { AcquireOptions, Priority, ResourcePoolOptions } from "./pool-options.ts";
export type { Schedule } from "./schedule.ts";
export type { PrincipalUsage } from "./session-registry.ts";
export type { Source } from "./source-reader.ts";
export type { ReserveOptions, StreamingSession } from "./streaming-session.ts";
export type { ReadableStreamOptions } from "./web-output.ts";
export type { WriteToOptions, WriteToResult } from "./write-to.ts";
