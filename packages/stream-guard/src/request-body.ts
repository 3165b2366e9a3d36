import type { IncomingMessage } from "node:http";
import { BodyReader } from "./body-reader.ts";
import {
  MemoryLimitError,
  MessageTooLargeError,
  QueueFullError,
  SessionClosedError,
  UploadStalledError,
} from "./errors.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import type { Refusal } from "./http-refusal.ts";
import type { StreamingSession } from "./streaming-session.ts";

const SERVER_ERROR = -32_000;
const SESSION_NOT_FOUND = -32_001;
const PARSE_ERROR = -32_700;
const RETRY_AFTER_MS = 1000;
/** The rest of the body is not read. */
const CLOSE = { connection: "close" };

export type RequestBody = { readonly value: unknown } | { readonly refusal: Refusal };

/**
 * Reads and parses a body of at most `maxBytes`, charged to the session as it arrives, until it is parsed.
 * One that finds no room waits for it.
 */
export async function readBody(
  request: IncomingMessage,
  session: StreamingSession,
  maxBytes: number,
): Promise<RequestBody> {
  const announced = Number(request.headers["content-length"] ?? Number.NaN);
  const buffer = new GrowingBuffer(session, announced < maxBytes ? announced : maxBytes);
  try {
    if (announced > maxBytes) throw new MessageTooLargeError(announced, maxBytes);
    await new BodyReader(request, session, buffer).read();
    return parse(buffer.bytes.toString());
  } catch (error) {
    return { refusal: refusalOf(error as Error) };
  } finally {
    buffer.clear();
  }
}

function parse(text: string): RequestBody {
  try {
    return { value: JSON.parse(text) };
  } catch {
    const message = "Parse error: Invalid JSON";
    return { refusal: { status: 400, code: PARSE_ERROR, message } };
  }
}

function refusalOf(error: Error): Refusal {
  const { message } = error;
  if (error instanceof MessageTooLargeError)
    return { status: 413, code: SERVER_ERROR, message, data: { code: error.code }, headers: CLOSE };
  if (error instanceof UploadStalledError)
    return { status: 408, code: SERVER_ERROR, message, data: { code: error.code }, headers: CLOSE };
  if (error instanceof SessionClosedError)
    return { status: 404, code: SESSION_NOT_FOUND, message: "Session not found", headers: CLOSE };
  if (!(error instanceof MemoryLimitError || error instanceof QueueFullError))
    return { status: 400, code: PARSE_ERROR, message, headers: CLOSE };
  const { code } = error;
  const retryAfterMs = error instanceof MemoryLimitError ? error.retryAfterMs : RETRY_AFTER_MS;
  const headers = { ...CLOSE, "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  return { status: 503, code: SERVER_ERROR, message, data: { code, retryAfterMs }, headers };
}
