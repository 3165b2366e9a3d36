import { frozenCopy } from "./plain-json.ts";

/**
 * A copy of a tool's result that may be shared, or `undefined` when the result must not be: it reports an error, asks the client
 * for input, stands for a task, or is not plain `content`.
 */
export function shareableResult(result: unknown): object | undefined {
  return isContentResult(result) && result["isError"] !== true ? frozenCopy(result) : undefined;
}

/** Whether it is an answer to anyone who asks the same, or part of a conversation with one client. */
export function isContentResult(result: unknown): result is Readonly<Record<string, unknown>> {
  if (typeof result !== "object" || result === null) return false;
  const { content, resultType, inputRequests, task } = result as Readonly<Record<string, unknown>>;
  return (
    Array.isArray(content) &&
    (resultType === undefined || resultType === "complete") &&
    inputRequests === undefined &&
    task === undefined
  );
}
