import { BatcherError } from "./errors.ts";
import { checkFunction, checkInteger, checkKnown, checkNumber } from "./options.ts";
import { textResult } from "./mcp-types.ts";
import type { RequestContext, TextToolResult, ToolResult } from "./mcp-types.ts";
import { maxDelayMs, systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";

export interface CallContext {
  /** Aborts with the request, or when the call takes longer than `callTimeoutMs`. */
  readonly signal: AbortSignal;
  /** The position of the call in the request. */
  readonly index: number;
}

export interface BatchCallOptions {
  readonly maxCalls?: number;
  readonly concurrency?: number;
  readonly callTimeoutMs?: number;
  /** Which tools may be called. Default: all but `batch_call`. */
  readonly allow?: (name: string) => boolean;
  readonly timers?: Timers;
}

/** `result` when the tool answered (`ok` is false if it answered `isError`), `error` when it did not. */
export type CallOutcome =
  | { readonly ok: boolean; readonly result: ToolResult }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

export interface BatchCallTool {
  readonly name: "batch_call";
  readonly description: string;
  /** JSON Schema. */
  readonly inputSchema: {
    [key: string]: unknown;
    type: "object";
    properties: Record<string, object>;
    required: string[];
  };
  handler(args: unknown, context?: RequestContext): Promise<TextToolResult>;
}

type CallTool = (name: string, args: unknown, context: CallContext) => Promise<ToolResult>;

interface Call {
  readonly name: string;
  readonly arguments: unknown;
}

const toolName = "batch_call";

/**
 * A tool that runs many calls of other tools in one request. Results come in the calls' order; one failure does not touch the
 * others. When the request is cancelled, calls not finished are told so and the results there are come back.
 * @throws BatcherOptionError
 */
export function batchCall(callTool: CallTool, options: BatchCallOptions = {}): BatchCallTool {
  checkKnown(options, ["maxCalls", "concurrency", "callTimeoutMs", "allow", "timers"]);
  const { maxCalls = 100, concurrency = 4, callTimeoutMs = 60_000 } = options;
  const { allow = () => true, timers = systemTimers } = options;
  checkFunction("callTool", callTool);
  checkFunction("allow", allow);
  checkInteger("maxCalls", maxCalls, 1, 10_000);
  checkInteger("concurrency", concurrency, 1, 1_000);
  checkNumber("callTimeoutMs", callTimeoutMs, 1, maxDelayMs);
  return {
    name: toolName,
    description: `Calls up to ${maxCalls} tools in one request. Results come in the order of the calls, each with ok and its result or error.`,
    inputSchema: schema(maxCalls),
    async handler(args, context = {}) {
      const calls = parseCalls(args, maxCalls);
      if (typeof calls === "string") return textResult(calls, { isError: true });
      const signal = context.signal ?? new AbortController().signal;
      const results: CallOutcome[] = Array.from({ length: calls.length });
      let next = 0;
      let done = 0;
      const work = async (): Promise<void> => {
        for (let index = next++; index < calls.length; index = next++) {
          const call = calls[index] as Call;
          results[index] = refusal(call, allow, signal) ?? (await run(call, index, signal));
          done += 1;
          report(context, done, calls.length);
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, work));
      return textResult(JSON.stringify({ results }), { structuredContent: { results } });
    },
  };

  function run(call: Call, index: number, signal: AbortSignal): Promise<CallOutcome> {
    const abort = new AbortController();
    return new Promise((resolve) => {
      const end = (outcome: CallOutcome): void => {
        timers.clear(timer);
        signal.removeEventListener("abort", onAbort);
        resolve(outcome);
      };
      const onAbort = (): void => {
        end(failure("BATCHER_CALL_CANCELLED", "the request was cancelled before this call ended"));
        abort.abort(signal.reason);
      };
      const onTimeout = (): void => {
        const message = `"${call.name}" did not answer within ${callTimeoutMs} ms`;
        end(failure("BATCHER_CALL_TIMEOUT", message));
        abort.abort(new BatcherError("BATCHER_CALL_TIMEOUT", message));
      };
      const timer = timers.set(onTimeout, callTimeoutMs, false);
      signal.addEventListener("abort", onAbort, { once: true });
      void answer(callTool, call, { signal: abort.signal, index }).then(end);
    });
  }
}

async function answer(callTool: CallTool, call: Call, context: CallContext): Promise<CallOutcome> {
  try {
    const result: unknown = await callTool(call.name, call.arguments, context);
    // One result that cannot be sent must not keep the others from being sent.
    const text = JSON.stringify(result);
    if (typeof result !== "object" || result === null || text === undefined)
      return failure("BATCHER_CALL_FAILED", `"${call.name}" gave no tool result`);
    return { ok: (result as ToolResult).isError !== true, result: JSON.parse(text) as ToolResult };
  } catch (error) {
    return failure("BATCHER_CALL_FAILED", error instanceof Error ? error.message : String(error));
  }
}

function report({ progress }: RequestContext, done: number, total: number): void {
  try {
    progress?.(done, total);
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}

function refusal(
  { name }: Call,
  allow: (name: string) => boolean,
  signal: AbortSignal,
): CallOutcome | undefined {
  if (signal.aborted)
    return failure("BATCHER_CALL_CANCELLED", "the request was cancelled before this call began");
  if (name === toolName)
    return failure(
      "BATCHER_NESTED_CALL",
      `"${toolName}" cannot be called from ${toolName}; list its calls here instead`,
    );
  return isAllowed(name, allow)
    ? undefined
    : failure("BATCHER_CALL_REFUSED", `"${name}" may not be called from ${toolName}`);
}

/** A filter that throws allows nothing. */
function isAllowed(name: string, allow: (name: string) => boolean): boolean {
  try {
    return allow(name);
  } catch {
    return false;
  }
}

function failure(code: string, message: string): CallOutcome {
  return { ok: false, error: { code, message } };
}

/** The calls, or what is wrong with the arguments. */
function parseCalls(args: unknown, maxCalls: number): readonly Call[] | string {
  const { calls } = Object(args) as { readonly calls?: unknown };
  if (!Array.isArray(calls) || calls.length === 0 || calls.length > maxCalls)
    return `BATCHER_CALL_ARGUMENTS: calls must be an array of 1 to ${maxCalls} calls`;
  const wrong = calls.findIndex((call) => !isCall(call));
  if (wrong >= 0)
    return `BATCHER_CALL_ARGUMENTS: calls[${wrong}] must be { name: string, arguments?: object }`;
  return calls.map((call: Call) => ({ name: call.name, arguments: call.arguments ?? {} }));
}

function isCall(call: unknown): boolean {
  const { name, arguments: args } = Object(call) as Readonly<Record<string, unknown>>;
  return (
    typeof name === "string" &&
    (args === undefined || (typeof args === "object" && args !== null && !Array.isArray(args)))
  );
}

function schema(maxCalls: number): BatchCallTool["inputSchema"] {
  return {
    type: "object",
    properties: {
      calls: {
        type: "array",
        minItems: 1,
        maxItems: maxCalls,
        items: {
          type: "object",
          properties: {
            name: { type: "string", description: "The tool to call." },
            arguments: { type: "object", description: "Its arguments." },
          },
          required: ["name"],
        },
      },
    },
    required: ["calls"],
  };
}
