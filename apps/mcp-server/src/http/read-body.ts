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

/** The memory of bodies that are being received, of all clients together. */
export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws BodyError when there is no room */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#maxBytes)
      throw new BodyError(
        503,
        -32000,
        "Overloaded: too many request bodies are being received. Try again in a second.",
      );
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** @throws BodyError when the body is longer than `maxBytes`, cut off, or not JSON in UTF-8. */
export async function readJson(
  request: IncomingMessage,
  maxBytes: number,
  budget: BodyBudget = new BodyBudget(maxBytes),
): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes, budget);
  try {
    return parseJson(bytes);
  } catch (error) {
    const { kind, message } = error as JsonError;
    throw kind === "depth"
      ? new BodyError(400, -32600, `Invalid request: ${message}`)
      : new BodyError(400, -32700, `Parse error: the body is ${message}`);
  }
}

async function readBytes(
  request: IncomingMessage,
  maxBytes: number,
  budget: BodyBudget,
): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
    dropRest(request);
    throw tooLarge(maxBytes);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const { byteLength } = chunk as Buffer;
      if (bytes + byteLength > maxBytes) throw tooLarge(maxBytes);
      budget.take(byteLength);
      bytes += byteLength;
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof BodyError) {
      dropRest(request);
      throw error;
    }
    throw new BodyError(400, -32700, "Parse error: the body was cut off");
  } finally {
    budget.give(bytes);
  }
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
