import type { ServerResponse } from "node:http";
import { AdmissionError } from "./errors.ts";

const SERVER_ERROR = -32_000;
const MS_PER_SECOND = 1000;

export interface Refusal {
  readonly status: number;
  /** JSON-RPC error code. */
  readonly code: number;
  readonly message: string;
  readonly data?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers an HTTP request that reached no transport, in the form the SDKs' transports use themselves. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const { status, code, message, data, headers } = refusal;
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message, data }, id: null }));
}

/**
 * Answers 503 with `Retry-After` and a JSON-RPC error when `error` is the AdmissionError with which the
 * guard refused a session; false, and nothing answered, for any other error.
 */
export function answerAdmission(response: ServerResponse, error: unknown): boolean {
  if (!(error instanceof AdmissionError)) return false;
  const { code, message, reason, retryAfterMs } = error;
  refuse(response, {
    status: 503,
    code: SERVER_ERROR,
    message,
    data: { code, reason, retryAfterMs },
    headers: { "retry-after": String(Math.ceil(retryAfterMs / MS_PER_SECOND)) },
  });
  return true;
}
