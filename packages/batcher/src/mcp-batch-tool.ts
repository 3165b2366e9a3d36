import type { AddOptions } from "./add-options.ts";
import { BatcherError, BatchOverloadError } from "./errors.ts";
import { checkFunction, checkKnown } from "./options.ts";
import { isHandlerExtra, requestContext, textResult } from "./mcp-types.ts";
import type { HandlerExtra, TextToolResult } from "./mcp-types.ts";

/** The part of a `BatchProcessor` that a tool needs. */
export interface ItemBatcher<T, R> {
  add(item: T, options?: AddOptions): Promise<R>;
}

export interface BatchToolOptions<Args, T, R, Result> {
  /** Default: the arguments themselves are the item. */
  readonly toItem?: (args: Args) => T;
  /** Default: an object goes to `structuredContent` and, as JSON, to the text. */
  readonly toResult?: (result: R) => Result;
  /** Priority, deadline and fairness key of a call. */
  readonly itemOptions?: (args: Args) => Omit<AddOptions, "signal">;
}

/**
 * A handler for `registerTool` of either SDK generation: concurrent calls of the tool become items of one bulk call. What the batcher
 * refuses (overload, deadline, …) is answered as a tool error with its code; other errors are left to the SDK. The arguments of a tool
 * that is registered without an `inputSchema` are `{}`.
 * @throws BatcherOptionError
 */
export function batchTool<Args, T = Args, R = unknown, Result = TextToolResult>(
  batcher: ItemBatcher<T, R>,
  options: BatchToolOptions<Args, T, R, Result> = {},
): (args: Args, extra?: HandlerExtra) => Promise<Result | TextToolResult> {
  checkKnown(options, ["toItem", "toResult", "itemOptions"]);
  const { toItem, toResult, itemOptions } = options;
  checkFunction("batcher.add", (Object(batcher) as { readonly add?: unknown }).add);
  for (const [name, value] of Object.entries({ toItem, toResult, itemOptions }))
    if (value !== undefined) checkFunction(name, value);
  return async (first, second) => {
    // Both SDKs call the handler of a tool without an input schema with the request's context alone.
    const alone = second === undefined && isHandlerExtra(first);
    const args = alone ? ({} as Args) : first;
    const { signal } = requestContext(alone ? first : second);
    const item = toItem === undefined ? (args as unknown as T) : toItem(args);
    try {
      const value = await batcher.add(item, {
        ...itemOptions?.(args),
        ...(signal === undefined ? {} : { signal }),
      });
      return toResult === undefined ? plainResult(value) : toResult(value);
    } catch (error) {
      if (error instanceof BatcherError) return refusal(error);
      throw error;
    }
  };
}

function plainResult(value: unknown): TextToolResult {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const structured = typeof value === "object" && value !== null && !Array.isArray(value);
  return textResult(
    text,
    structured ? { structuredContent: value as Record<string, unknown> } : {},
  );
}

function refusal(error: BatcherError): TextToolResult {
  const retry =
    error instanceof BatchOverloadError ? { "mcp-accel/retryAfterMs": error.retryAfterMs } : {};
  return textResult(`${error.code}: ${error.message}`, {
    isError: true,
    _meta: { "mcp-accel/code": error.code, ...retry },
  });
}
