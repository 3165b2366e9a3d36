export { AdaptiveController } from "./adaptive-controller.ts";
export { BatchProcessor } from "./batch-processor.ts";
export {
  BatchClosedError,
  BatchContractError,
  BatchDeadlineError,
  BatcherError,
  BatcherOptionError,
  BatcherPausedError,
  BatcherReentryError,
  BatchItemError,
  BatchItemTooLargeError,
  BatchOverloadError,
  BatchTimeoutError,
} from "./errors.ts";
export { classifyError } from "./failure.ts";
export { FixedController } from "./fixed-controller.ts";
export { processLoad } from "./process-load.ts";
export type { AddOptions, SharedOptions } from "./add-options.ts";
export type { AdaptiveControllerOptions } from "./adaptive-controller.ts";
export type { ProcessBatchOptions, StreamOptions } from "./batch-processor.ts";
export type { RetryEvent } from "./batch-run.ts";
export type { BatchController, BatchOutcome, BatchRecord, BatchSettings } from "./controller.ts";
export type { BatcherEvents, OverloadEvent, SplitEvent } from "./events.ts";
export type { Verdict } from "./failure.ts";
export type { LoadReading } from "./growth-brake.ts";
export type { Settlement } from "./job.ts";
export type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
export type { BatchProcessorOptions, TunableOptions } from "./options.ts";
export type { ProcessLoadOptions } from "./process-load.ts";
export type { ItemResult, Processor, ProcessorContext } from "./processor.ts";
export type { BatcherStats } from "./stats.ts";
export type { Timers } from "./timers.ts";
