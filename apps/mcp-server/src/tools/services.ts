import type { SwarmEvents } from "../swarm/events.ts";
import type { SwarmStore } from "../swarm/store.ts";
import type { NewTask, Task } from "../swarm/types.ts";
import type { ToolContext } from "./tool.ts";

/** What the tools need from the host; compose.ts decides which parts are accelerated. */
export interface Services {
  readonly store: SwarmStore;
  readonly events: SwarmEvents;
  readonly bulk: BulkService;
  readonly exports: ExportService;
  readonly http: HttpService;
  readonly operations: OperationsService;
  /** Size that a result may have as JSON. */
  readonly maxResultBytes: number;
  /** Calls another tool as the same caller; `batch_call` is made of it. */
  readonly callTool: (name: string, args: unknown, context: ToolContext) => Promise<object>;
}

export interface BulkService {
  readonly assign: (task: NewTask, signal: AbortSignal) => Promise<Task>;
  /** One outcome per task, in order. */
  readonly assignAll: (
    tasks: readonly NewTask[],
    options: BulkOptions,
  ) => Promise<readonly PromiseSettledResult<Task>[]>;
  /** Runs every call, some at a time; one outcome per call, in order. */
  readonly runAll: (
    calls: readonly ((signal: AbortSignal) => Promise<object>)[],
    options: BulkOptions,
  ) => Promise<readonly PromiseSettledResult<object>[]>;
}
export interface BulkOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface ExportService {
  /** Passes the chunks to `consume` one after the other, waiting for each. */
  stream(
    chunks: AsyncIterable<Uint8Array>,
    consume: (chunk: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** The whole export as text. Rejects when it is larger than the operator allows. */
  collect(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string>;
}

export interface HttpService {
  /** A GET that follows redirects; only addresses that the operator allows are connected to. */
  get(
    url: URL,
    init: { readonly signal: AbortSignal; readonly headers: Record<string, string> },
  ): Promise<Response>;
}

export interface OperationsService {
  clearCache(selection: CacheSelection): Promise<void>;
  stats(): Promise<Record<string, unknown>>;
}
export interface CacheSelection {
  readonly tags?: readonly string[] | undefined;
}
