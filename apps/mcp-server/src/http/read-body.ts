import type { IncomingMessage } from "node:http";
import { parseJson, type JsonError } from "../json/parse-json.ts";

/** A client that sends on after it was refused is cut off here. */
const MAX_DROPPED_BYTES = 64 * 1024 * 1024;

/** What was wrong with a request body, with the HTTP status and JSON-RPC code to answer. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  readonly status: number;
  readonly rpcCode: number;

  constructor(status: number, rpcCode: number, message: string) {
    super(message);
    this.status = status;
    this.rpcCode = rpcCode;
  }
}

/** @throws BodyError when the body is longer than `maxBytes`, cut off, or not JSON in UTF-8. */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes);
  try {
    return parseJson(bytes);
  } catch (error) {
    const { kind, message } = error as JsonError;
    throw kind === "depth"
      ? new BodyError(400, -32600, `Invalid request: ${message}`)
      : new BodyError(400, -32700, `Parse error: the body is ${message}`);
  }
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = Number(request.headers["content-length"] ?? 0) > maxBytes ? Infinity : 0;
  try {
    if (bytes === 0)
      for await (const chunk of request.iterator({ destroyOnReturn: false })) {
        bytes += (chunk as Buffer).byteLength;
        if (bytes > maxBytes) break;
        chunks.push(chunk as Buffer);
      }
  } catch {
    throw new BodyError(400, -32700, "Parse error: the body was cut off");
  }
  if (bytes <= maxBytes) return Buffer.concat(chunks);
  dropRest(request);
  throw tooLarge(maxBytes);
}

/** A connection that is closed on a client that still sends is reset, and the answer lost with it: what comes is read and dropped. */
function dropRest(request: IncomingMessage): void {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_DROPPED_BYTES) request.destroy();
  });
}

function tooLarge(maxBytes: number): BodyError {
  return new BodyError(
    413,
    -32000,
    `Payload too large: the body is longer than ${maxBytes} bytes. Send less at once, or raise http.maxBodyBytes.`,
  );
}
