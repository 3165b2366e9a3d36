import type { MemoryLimitError, QueueFullError } from "./errors.ts";

/** What is looked at in a JSON-RPC message. */
export interface JsonRpcMessage {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: { readonly requestId?: string | number };
}

const INTERNAL_ERROR = -32_603;
const SERVER_ERROR = -32_000;

export function isResponse(message: JsonRpcMessage): boolean {
  return message.method === undefined && message.id !== undefined;
}

export function isRequest(message: JsonRpcMessage): boolean {
  return message.method !== undefined && message.id !== undefined;
}

/** The request of the other side that `message` gives up, if it gives one up. */
export function cancelledRequest(message: JsonRpcMessage): string | number | undefined {
  return message.method === "notifications/cancelled" ? message.params?.requestId : undefined;
}

/** What to answer instead of a response that is larger than its session may ever hold. */
export function tooLargeResponse(message: JsonRpcMessage, error: MemoryLimitError): JsonRpcMessage {
  const { code, requestedBytes, limitBytes } = error;
  const detail = `the response takes ${requestedBytes} bytes, the session may hold ${limitBytes}; ask for less at once`;
  return {
    jsonrpc: "2.0",
    id: message.id,
    error: { code: INTERNAL_ERROR, message: detail, data: { code, requestedBytes, limitBytes } },
  } as JsonRpcMessage;
}

/** What to answer instead of beginning a request that is one too many. */
export function tooManyRequestsResponse(message: JsonRpcMessage, error: QueueFullError): object {
  const detail = "too many requests of this session are in progress; await some answers first";
  const { code, queueLimit } = error;
  return {
    jsonrpc: "2.0",
    id: message.id,
    error: { code: SERVER_ERROR, message: detail, data: { code, queueLimit } },
  };
}
