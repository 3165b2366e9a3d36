import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

export interface JsonRpcMessage {
  readonly jsonrpc: "2.0";
  readonly [key: string]: unknown;
}

export interface LineTransportOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly maxLineBytes: number;
}

const NEWLINE = 0x0a;
/** How long requests under way may still answer after the input ended. */
const FINISH_MS = 10_000;

/**
 * JSON-RPC messages, one a line. A line that is too long, not JSON or no JSON-RPC message is answered with an error
 * (id null) and skipped; the connection goes on. When the input ends, requests under way are answered first.
 */
export class LineTransport {
  onmessage: ((message: JsonRpcMessage) => void) | undefined;
  onclose: (() => void) | undefined;
  onerror: ((error: Error) => void) | undefined;
  readonly #options: LineTransportOptions;
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;
  readonly #unanswered = new Set<unknown>();
  #ended = false;
  #closed = false;
  #finishing: NodeJS.Timeout | undefined;

  constructor(options: LineTransportOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { input, output } = this.#options;
    input.on("data", this.#read);
    input.once("end", this.#end);
    input.once("close", this.#end);
    output.on("error", this.#fail);
  }

  /** Resolves when the reader keeps up: after the line was taken, or after the buffered ones were. */
  async send(message: object): Promise<void> {
    const { output } = this.#options;
    if (this.#closed || !output.writable) throw new Error("The connection is closed");
    const flowing = output.write(`${JSON.stringify(message)}\n`);
    if (!("method" in message) && "id" in message) this.#answered(message.id);
    if (!flowing) await Promise.race([once(output, "drain"), once(output, "close")]);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#finishing);
    const { input, output } = this.#options;
    input.off("data", this.#read);
    input.pause();
    output.off("error", this.#fail);
    output.on("error", () => {});
    this.onclose?.();
  }

  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#unanswered.size === 0) return void this.close();
    this.#finishing = setTimeout(() => void this.close(), FINISH_MS);
  };

  #answered(id: unknown): void {
    this.#unanswered.delete(id);
    if (this.#ended && this.#unanswered.size === 0) void this.close();
  }

  readonly #fail = (error: Error): void => {
    this.onerror?.(error);
    void this.close();
  };

  readonly #read = (chunk: Buffer): void => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#take(chunk.subarray(start, end));
      this.#endLine();
      start = end + 1;
    }
    this.#take(chunk.subarray(start));
  };

  #take(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    this.#length += part.length;
    this.#parts.push(part);
    if (this.#length <= this.#options.maxLineBytes) return;
    this.#parts = [];
    this.#skipping = true;
    this.#refuse(-32600, `Message too long: a line may have ${this.#options.maxLineBytes} bytes`);
  }

  #endLine(): void {
    const line = this.#skipping ? "" : Buffer.concat(this.#parts).toString("utf8").trim();
    this.#parts = [];
    this.#length = 0;
    this.#skipping = false;
    if (line !== "") this.#deliver(line);
  }

  #deliver(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (error) {
      return this.#refuse(
        -32700,
        `Parse error: expected one JSON object a line: ${(error as Error).message}`,
      );
    }
    if (!isMessage(message))
      return this.#refuse(
        -32600,
        'Invalid request: expected a JSON-RPC 2.0 message with "jsonrpc": "2.0", a text or an integer as id, an object as params, and a method or a result',
      );
    if ("method" in message && "id" in message) this.#unanswered.add(message["id"]);
    if (message["method"] === "notifications/cancelled") this.#answered(cancelledId(message));
    this.onmessage?.(message);
  }

  #refuse(code: number, message: string): void {
    this.send({ jsonrpc: "2.0", id: null, error: { code, message } }).catch((error: unknown) =>
      this.onerror?.(error as Error),
    );
  }
}

function isMessage(value: unknown): value is JsonRpcMessage {
  if (typeof value !== "object" || value === null) return false;
  const { jsonrpc, method, id, params = {} } = value as Record<string, unknown>;
  if (jsonrpc !== "2.0") return false;
  if (typeof params !== "object" || params === null || Array.isArray(params)) return false;
  const validId = id === undefined || typeof id === "string" || Number.isSafeInteger(id);
  return typeof method === "string" ? validId : validId && ("result" in value || "error" in value);
}

/** A cancelled request is not answered. */
function cancelledId({ params }: JsonRpcMessage): unknown {
  return (params as { requestId?: unknown } | undefined)?.requestId;
}
