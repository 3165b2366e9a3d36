import type { ServerResponse } from "node:http";

/** Answers with a JSON-RPC error that belongs to no request id. */
export function sendError(
  response: ServerResponse,
  status: number,
  code: number,
  message: string,
  data?: Readonly<Record<string, unknown>>,
): void {
  const error = data === undefined ? { code, message } : { code, message, data };
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", error, id: null }));
}
