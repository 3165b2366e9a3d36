import type { ToolResult } from "./mcp-types.ts";

/** One call of a `batch_call`. */
export interface Call {
  readonly name: string;
  readonly arguments: unknown;
}

/** `result` when the tool answered (`ok` is false if it answered `isError`), `error` when it did not. */
export type CallOutcome =
  | { readonly ok: boolean; readonly result: ToolResult }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** JSON Schema of the arguments. */
export interface CallsSchema {
  [key: string]: unknown;
  type: "object";
  properties: Record<string, object>;
  required: string[];
}

const longestMessage = 1_000;

export function failure(code: string, message: string): CallOutcome {
  return { ok: false, error: { code, message: message.slice(0, longestMessage) } };
}

/** The calls, or what is wrong with the arguments. */
export function parseCalls(args: unknown, maxCalls: number): readonly Call[] | string {
  const { calls } = Object(args) as { readonly calls?: unknown };
  if (!Array.isArray(calls) || calls.length === 0 || calls.length > maxCalls)
    return `BATCHER_CALL_ARGUMENTS: calls must be an array of 1 to ${maxCalls} calls`;
  const wrong = calls.findIndex((call) => !isCall(call));
  if (wrong >= 0)
    return `BATCHER_CALL_ARGUMENTS: calls[${wrong}] must be { name: string, arguments?: object }`;
  return calls.map((call: Call) => ({ name: call.name, arguments: call.arguments ?? {} }));
}

export function schemaOf(maxCalls: number): CallsSchema {
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

function isCall(call: unknown): boolean {
  const { name, arguments: args } = Object(call) as Readonly<Record<string, unknown>>;
  return (
    typeof name === "string" &&
    (args === undefined || (typeof args === "object" && args !== null && !Array.isArray(args)))
  );
}
