import { clip } from "../clip.ts";

export interface JsonRpcMessage {
  readonly jsonrpc: "2.0";
  readonly [key: string]: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

const REQUEST_KEYS = ["jsonrpc", "id", "method", "params"];
const RESPONSE_KEYS = ["jsonrpc", "id", "result", "error"];

/** Why a value is no JSON-RPC 2.0 message of MCP, in words; an SDK would drop it without an answer. */
export function invalidity(value: unknown): string | undefined {
  if (!isFields(value)) return "expected one JSON object a line";
  if (value["jsonrpc"] !== "2.0") return 'expected "jsonrpc": "2.0"';
  if ("id" in value && !isId(value["id"])) return "expected a text or an integer as id";
  return "method" in value ? invalidRequest(value) : invalidResponse(value);
}

/** The id to answer an invalid message with. */
export function idOf(value: unknown): string | number | null {
  const id = isFields(value) ? value["id"] : null;
  return isId(id) ? id : null;
}

function invalidRequest(message: Fields): string | undefined {
  const { method, params = {} } = message;
  if (typeof method !== "string") return "expected a text as method";
  const extra = unknownKey(message, REQUEST_KEYS);
  if (extra !== undefined) return extra;
  if (!isFields(params)) return "expected an object as params";
  const { _meta: meta = {} } = params;
  if (!isFields(meta)) return "expected an object as params._meta";
  const { progressToken } = meta;
  return progressToken === undefined || isId(progressToken)
    ? undefined
    : "expected a text or an integer as params._meta.progressToken";
}

function invalidResponse(message: Fields): string | undefined {
  if (!("id" in message)) return "expected a method, or an id with a result or an error";
  if ("result" in message === "error" in message)
    return "expected a method, or either a result or an error";
  if ("result" in message && !isFields(message["result"])) return "expected an object as result";
  if ("error" in message && !isFields(message["error"])) return "expected an object as error";
  return unknownKey(message, RESPONSE_KEYS);
}

function unknownKey(message: Fields, known: readonly string[]): string | undefined {
  const key = Object.keys(message).find((name) => !known.includes(name));
  return key === undefined
    ? undefined
    : `expected no other member than ${known.join(", ")}, got "${clip(key, 100)}"`;
}

function isId(value: unknown): value is string | number {
  return typeof value === "string" || Number.isSafeInteger(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
