import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Refusal } from "./endpoint-refusal.ts";

/** Answers whole, never cached, and without a body to HEAD. Does nothing when the response is already under way. */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body: string | Buffer,
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

export function answerText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const contentType = "text/plain; charset=utf-8";
  answer(request, response, status, { "content-type": contentType, ...headers }, body);
}

export function answerJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const contentType = "application/json; charset=utf-8";
  const body = JSON.stringify(value);
  answer(request, response, status, { "content-type": contentType, ...headers }, body);
}

export function answerRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { status, message, retryAfterSeconds }: Refusal,
): void {
  const headers: OutgoingHttpHeaders = {};
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="metrics"';
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  answerText(request, response, status, `${message}\n`, headers);
}
