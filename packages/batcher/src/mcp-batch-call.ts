import { AsyncLocalStorage } from "node:async_hooks";
import { checkFunction, checkInteger, checkKnown, checkNumber } from "./options.ts";
import { CallSlots } from "./mcp-call-slots.ts";
import { failure, parseCalls, schemaOf } from "./mcp-calls.ts";
import type { Call, CallOutcome, CallsSchema } from "./mcp-calls.ts";
import { ToolCall } from "./mcp-tool-call.ts";
import type { Allow, CallTool } from "./mcp-tool-call.ts";
import { textResult } from "./mcp-types.ts";
import type { RequestContext, TextToolResult } from "./mcp-types.ts";
import { maxDelayMs, systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";
import { callSafely } from "./warn.ts";

export interface BatchCallOptions {
  /** Calls of one request. Default 100. */
  readonly maxCalls?: number;
  /** Calls under way at once, over all requests; a call that has timed out counts until it ends. Default 4. */
  readonly concurrency?: number;
  /** For one call, waiting for its slot included. Default 60,000. */
  readonly callTimeoutMs?: number;
  /**
   * For all results of one request, as JSON. A result that does not fit is replaced by an error. The response carries what fits
   * twice, as text and structured. Default 8 MiB.
   */
  readonly maxResultBytes?: number;
  /** Which tools may be called: those it answers `true` for, or a promise of it. Default: all but `batch_call`. */
  readonly allow?: Allow;
  readonly timers?: Timers;
}

export interface BatchCallTool {
  readonly name: "batch_call";
  readonly description: string;
  readonly inputSchema: CallsSchema;
  handler(args: unknown, context?: RequestContext): Promise<TextToolResult>;
}

const toolName = "batch_call";
const nested = `"${toolName}" cannot be called from ${toolName}; list its calls here instead`;

/**
 * A tool that runs many calls of other tools in one request. Results come in the calls' order; one failure does not touch the
 * others. When the request is cancelled, calls not finished are told so and the results there are come back.
 * @throws BatcherOptionError
 */
export function batchCall(callTool: CallTool, options: BatchCallOptions = {}): BatchCallTool {
  checkKnown(options, [
    "maxCalls",
    "concurrency",
    "callTimeoutMs",
    "maxResultBytes",
    "allow",
    "timers",
  ]);
  const { maxCalls = 100, concurrency = 4, callTimeoutMs = 60_000 } = options;
  const { maxResultBytes = 8 * 1024 * 1024, allow = () => true, timers = systemTimers } = options;
  checkFunction("callTool", callTool);
  checkFunction("allow", allow);
  checkInteger("maxCalls", maxCalls, 1, 10_000);
  checkInteger("concurrency", concurrency, 1, 1_000);
  checkNumber("callTimeoutMs", callTimeoutMs, 1, maxDelayMs);
  checkInteger("maxResultBytes", maxResultBytes, 1, 1024 ** 3);
  const slots = new CallSlots(concurrency);
  /** The request that a call belongs to, whatever name the tool is registered under. */
  const requests = new AsyncLocalStorage<{ over: boolean }>();

  async function handler(args: unknown, context: RequestContext = {}): Promise<TextToolResult> {
    if (requests.getStore()?.over === false)
      return textResult(`BATCHER_NESTED_CALL: ${nested}`, { isError: true });
    const calls = parseCalls(args, maxCalls);
    if (typeof calls === "string") return textResult(calls, { isError: true });
    const request = { over: false };
    const results = await requests.run(request, () => runAll(calls, context));
    request.over = true;
    return textResult(JSON.stringify({ results }), { structuredContent: { results } });
  }

  async function runAll(calls: readonly Call[], context: RequestContext): Promise<CallOutcome[]> {
    const signal = context.signal ?? new AbortController().signal;
    const results: CallOutcome[] = Array.from({ length: calls.length });
    let bytesLeft = maxResultBytes;
    const takeBytes = (bytes: number): boolean => {
      if (bytes > bytesLeft) return false;
      bytesLeft -= bytes;
      return true;
    };
    const init = { callTool, allow, callTimeoutMs, slots, timers, takeBytes };
    let next = 0;
    let done = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < calls.length; index = next++) {
        const call = calls[index] as Call;
        results[index] =
          call.name === toolName
            ? failure("BATCHER_NESTED_CALL", nested)
            : await new ToolCall(init, call, index, signal).run();
        done += 1;
        callSafely(() => context.progress?.(done, calls.length));
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, work));
    return results;
  }

  return {
    name: toolName,
    description: `Calls up to ${maxCalls} tools in one request. Results come in the order of the calls, each with ok and its result or error.`,
    inputSchema: schemaOf(maxCalls),
    handler,
  };
}
