import type { IncomingMessage } from "node:http";

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
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new BodyError(
      400,
      -32700,
      `Parse error: the body is not valid JSON in UTF-8: ${message}`,
    );
  }
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers["content-length"]) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BodyError) throw error;
    throw new BodyError(400, -32700, "Parse error: the body was cut off");
  }
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): BodyError {
  return new BodyError(
    413,
    -32000,
    `Payload too large: the body is longer than ${maxBytes} bytes. Send less at once, or raise http.maxBodyBytes.`,
  );
}
