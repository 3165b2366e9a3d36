import type { IncomingMessage } from "node:http";
import { MemoryLimitError, MessageTooLargeError } from "./errors.ts";
import type { Refusal } from "./http-refusal.ts";
import type { StreamingSession } from "./streaming-session.ts";

const SERVER_ERROR = -32_000;
const PARSE_ERROR = -32_700;
/** The rest of the body is not read. */
const CLOSE = { connection: "close" };

export type RequestBody = { readonly value: unknown } | { readonly refusal: Refusal };

/** Reads and parses a body of at most `maxBytes`, charged to the session until it is parsed. */
export async function readBody(
  request: IncomingMessage,
  session: StreamingSession,
  maxBytes: number,
): Promise<RequestBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (size + chunk.length > maxBytes)
        throw new MessageTooLargeError(size + chunk.length, maxBytes);
      session.reserve(chunk.length);
      size += chunk.length;
      chunks.push(chunk);
    }
    return parse(Buffer.concat(chunks).toString());
  } catch (error) {
    return { refusal: refusalOf(error as Error) };
  } finally {
    session.release(size);
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
  if (!(error instanceof MemoryLimitError))
    return { status: 400, code: PARSE_ERROR, message, headers: CLOSE };
  const { code, retryAfterMs } = error;
  const retryAfter = { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  const headers = { ...CLOSE, ...retryAfter };
  return { status: 503, code: SERVER_ERROR, message, data: { code, retryAfterMs }, headers };
}
