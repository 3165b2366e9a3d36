import { ActiveOperations } from "./active-operations.ts";
import { LabelValues } from "./cardinality.ts";
import { InvalidSampleError } from "./errors.ts";
import { exemplarOf } from "./exemplar.ts";
import type { FamilyShape } from "./family-table.ts";
import { HistogramCells } from "./histogram-cells.ts";
import { MCP_METHODS, MCP_VERSIONS } from "./methods.ts";
import type { ResolvedOptions } from "./options.ts";
import { Tiers } from "./tiers.ts";

/** One MCP request or notification that a server has answered. */
export interface Operation {
  /** Method of the protocol, such as `tools/call`. Others than the specification's become `_OTHER`. */
  readonly method: string;
  /** Name of the tool, for `tools/call`. */
  readonly tool?: string;
  readonly durationSeconds: number;
  /** Why it failed, from a small set of words: an error code or name, `tool_error`. Absent for a success. */
  readonly errorType?: string;
  /** `stdio` is written as `pipe` and `http` as `tcp`, as the OpenTelemetry conventions do; other names as they are. */
  readonly transport: "stdio" | "http" | (string & {});
  readonly protocolVersion?: string;
  /** `params._meta.traceparent` of the request: an exemplar in OpenMetrics when its trace is sampled. */
  readonly traceparent?: string | undefined;
}

/** What an operation is counted as while it runs. */
export type StartedOperation = Pick<Operation, "method" | "tool">;

export interface Stopwatch {
  elapsedSeconds(): number;
  /** Records the operation with the time since the start; returns that time in seconds. */
  record(operation: Omit<Operation, "durationSeconds">): number;
}

const NAME = "mcp_server_operation_duration_seconds";
const MAX_TRANSPORTS = 8;
const NEWER_VERSIONS = 8;

/** What operations are counted in. */
export interface OperationSeries {
  readonly tools: LabelValues;
  readonly durations: HistogramCells;
  readonly active: ActiveOperations;
  readonly tiers: Tiers;
}

/** MCP operations under the names of the OpenTelemetry conventions, and tool calls against the objective of their tier. */
export class OperationMetrics {
  readonly #series: OperationSeries;
  readonly #now: () => number;
  readonly #failed: (family: string, error: unknown) => void;
  /** Reused by every record, so that the hot path allocates nothing. */
  readonly #values: string[] = ["", "", "", "", ""];

  constructor(
    series: OperationSeries,
    now: () => number,
    failed: (family: string, error: unknown) => void,
  ) {
    this.#series = series;
    this.#now = now;
    this.#failed = failed;
  }

  /** Counts one operation. A duration that is negative or not finite is counted as a collect error and not recorded. */
  record(operation: Operation): void {
    const { method, tool, durationSeconds, transport } = operation;
    if (!(durationSeconds >= 0 && durationSeconds < Infinity)) {
      const error = new InvalidSampleError(
        NAME,
        "a finite duration of at least 0",
        durationSeconds,
      );
      this.#failed(NAME, error);
      return;
    }
    const values = this.#values;
    values[0] = method;
    values[1] = tool ?? "";
    values[2] = operation.errorType ?? "";
    values[3] = networkTransport(transport);
    values[4] = operation.protocolVersion ?? "";
    const { traceparent } = operation;
    const exemplar =
      traceparent === undefined ? undefined : exemplarOf(traceparent, durationSeconds);
    this.#series.durations.observe(values, durationSeconds, exemplar);
    if (method === "tools/call" && tool !== undefined)
      this.#series.tiers.count(tool, durationSeconds);
  }

  /** With `started`, the operation counts as active from now until it is recorded: then record it, however it ends. */
  start(started?: StartedOperation): Stopwatch {
    const startedMs = this.#now();
    const leave =
      started === undefined
        ? undefined
        : this.#series.active.enter(started.method, started.tool ?? "");
    const elapsedSeconds = (): number => Math.max(0, this.#now() - startedMs) / 1000;
    return {
      elapsedSeconds,
      record: (operation) => {
        leave?.();
        const durationSeconds = elapsedSeconds();
        this.record({ ...operation, durationSeconds });
        return durationSeconds;
      },
    };
  }

  /**
   * Names the tools of the server, up to `maxLabelValues`. Before the first call any name is taken in while there is room;
   * from then on every other name is `_OTHER`.
   */
  know(tools: Iterable<string>): void {
    this.#series.tools.know(tools);
  }

  /** Assigns a tool to a latency tier. Throws `InvalidOptionError` for an unknown tier. */
  setTier(tool: string, tier: string): void {
    this.#series.tiers.assign(tool, tier);
  }

  /** The tier of a tool: `standard` unless it was assigned. */
  tierOf(tool: string): string {
    return this.#series.tiers.of(tool);
  }
}

/** https://github.com/open-telemetry/semantic-conventions-genai: `mcp.server.operation.duration`, with three finer buckets below. */
export const durationFamily: FamilyShape & { readonly buckets: readonly number[] } = {
  type: "histogram",
  name: NAME,
  help: "Time from receiving an MCP request or notification until it was answered",
  unit: "seconds",
  labels: [
    "mcp_method_name",
    "gen_ai_tool_name",
    "error_type",
    "network_transport",
    "mcp_protocol_version",
  ],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300],
};

export function operationSeries({ maxLabelValues, tiers }: ResolvedOptions): OperationSeries {
  const methods = new LabelValues(MCP_METHODS.length, MCP_METHODS);
  const tools = new LabelValues(maxLabelValues);
  const limits = [
    methods,
    tools,
    new LabelValues(maxLabelValues),
    new LabelValues(MAX_TRANSPORTS),
    new LabelValues(MCP_VERSIONS.length + NEWER_VERSIONS, MCP_VERSIONS),
  ];
  const { buckets, labels } = durationFamily;
  const durations = new HistogramCells(buckets, labels, limits);
  const active = new ActiveOperations(methods, tools);
  return { tools, durations, active, tiers: new Tiers(tiers, maxLabelValues) };
}

function networkTransport(transport: string): string {
  if (transport === "http") return "tcp";
  return transport === "stdio" ? "pipe" : transport;
}
