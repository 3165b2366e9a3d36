import type { Readable, Writable } from "node:stream";
import { type JsonError, parseJson } from "../json/parse-json.ts";
import { idOf, invalidity, type JsonRpcMessage } from "./json-rpc-message.ts";

export type { JsonRpcMessage };

export interface LineTransportOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly maxLineBytes: number;
}

const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
/** How long requests under way may still answer after the input ended. */
const FINISH_MS = 10_000;
/** Then for how long, when they have been told to stop, before they get an error. */
const LAST_ANSWERS_MS = 100;
/** A request that is answered when it is cancelled: it holds up no end. */
const ENDLESS_METHOD = "subscriptions/listen";
const SERVER_STOPPING = -32000;
/** Requests taken and not answered; further messages stay in the pipe until one is. */
const MAX_UNDER_WAY = 1_000;

/**
 * JSON-RPC messages, one a line. A line that is too long, not JSON or no JSON-RPC message is answered with an error and skipped; the
 * connection goes on. While the client does not read, nothing more is taken from it, so that its answers cannot pile up. When the
 * input ends, requests under way are answered first.
 */
export class LineTransport {
  onmessage: ((message: JsonRpcMessage) => void) | undefined;
  onclose: (() => void) | undefined;
  onerror: ((error: Error) => void) | undefined;
  readonly #options: LineTransportOptions;
  /** Received and not looked at. */
  #unread: Buffer = NOTHING;
  /** The line that is being received. */
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;
  readonly #unanswered = new Set<unknown>();
  /** Of the unanswered ones. */
  readonly #endless = new Set<unknown>();
  #taking = false;
  /** Shared by all who wait for the output. */
  #drained: PromiseWithResolvers<void> | undefined;
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
    output.on("drain", this.#flow);
  }

  /** Resolves when the reader keeps up: after the line was taken, or after the buffered ones were. */
  async send(message: object): Promise<void> {
    const { output } = this.#options;
    if (this.#closed || !output.writable) throw new Error("The connection is closed");
    const flowing = output.write(`${JSON.stringify(message)}\n`);
    if (!("method" in message) && "id" in message) this.#answered(message.id);
    if (!flowing) await (this.#drained ??= Promise.withResolvers()).promise;
  }

  /**
   * Takes no more messages and closes when those under way are answered. Those that are not after `limitMs` get an error;
   * `atLimit` is called shortly before, to end what would otherwise go on unseen.
   */
  async finish(limitMs: number, atLimit: () => void): Promise<void> {
    if (this.#closed) return;
    this.#options.input.pause();
    this.#unread = NOTHING;
    this.#skipping = false;
    this.#length = 0;
    this.#ended = true;
    this.#closeWithin(limitMs, atLimit);
    this.#closeWhenAnswered();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#finishing);
    const { input, output } = this.#options;
    input.off("data", this.#read);
    input.pause();
    output.off("drain", this.#flow);
    this.#drained?.resolve();
    output.off("error", this.#fail);
    output.on("error", () => {});
    this.onclose?.();
  }

  readonly #read = (chunk: Buffer): void => {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#take();
  };

  readonly #flow = (): void => {
    this.#drained?.resolve();
    this.#drained = undefined;
    this.#take();
  };

  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#finishing === undefined) this.#closeWithin(FINISH_MS, () => {});
    this.#take();
  };

  readonly #fail = (error: Error): void => {
    this.onerror?.(error);
    void this.close();
  };

  /** Looks at what has been received, as far as the client keeps reading its answers. */
  readonly #take = (): void => {
    if (this.#taking) return;
    this.#taking = true;
    while (!this.#held() && this.#unread.length > 0) {
      const end = this.#unread.indexOf(NEWLINE);
      if (end < 0) this.#append(this.#cut(this.#unread.length));
      else {
        this.#append(this.#cut(end));
        this.#endLine();
        this.#cut(1);
      }
    }
    this.#taking = false;
    if (this.#held()) return void this.#options.input.pause();
    if (!this.#ended) return void this.#options.input.resume();
    this.#endLine();
    this.#closeWhenAnswered();
  };

  #held(): boolean {
    const { output } = this.#options;
    return this.#closed || output.writableNeedDrain || this.#unanswered.size >= MAX_UNDER_WAY;
  }

  #cut(length: number): Buffer {
    const part = this.#unread.subarray(0, length);
    this.#unread = this.#unread.subarray(length);
    return part;
  }

  #append(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    this.#length += part.length;
    this.#parts.push(part);
    if (this.#length <= this.#options.maxLineBytes) return;
    this.#parts = [];
    this.#skipping = true;
    this.#refuse(-32600, `Message too long: a line may have ${this.#options.maxLineBytes} bytes`);
  }

  #endLine(): void {
    const line = this.#skipping ? NOTHING : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    this.#skipping = false;
    if (line.some((byte) => byte > 0x20)) this.#deliver(line);
  }

  #deliver(line: Buffer): void {
    let message: unknown;
    try {
      message = parseJson(line);
    } catch (error) {
      const { kind, message: why } = error as JsonError;
      return kind === "depth"
        ? this.#refuse(-32600, `Invalid request: ${why}`)
        : this.#refuse(-32700, `Parse error: ${why}`);
    }
    const invalid = invalidity(message);
    if (invalid !== undefined)
      return this.#refuse(-32600, `Invalid request: ${invalid}`, idOf(message));
    this.#hand(message as JsonRpcMessage);
  }

  #hand(message: JsonRpcMessage): void {
    if ("method" in message && "id" in message) {
      const { id, method } = message;
      if (this.#unanswered.has(id))
        return this.#refuse(
          -32600,
          `Invalid request: the id ${JSON.stringify(id).slice(0, 200)} belongs to a request that is still under way. Use an id once.`,
        );
      this.#unanswered.add(id);
      if (method === ENDLESS_METHOD) this.#endless.add(id);
    }
    if (message["method"] === "notifications/cancelled") this.#answered(cancelledId(message));
    try {
      this.onmessage?.(message);
    } catch (error) {
      this.onerror?.(error as Error);
      this.#refuse(-32603, "Internal error; the server's log has the details", idOf(message));
    }
  }

  #refuse(code: number, message: string, id: string | number | null = null): void {
    this.send({ jsonrpc: "2.0", id, error: { code, message } }).catch((error: unknown) =>
      this.onerror?.(error as Error),
    );
  }

  #answered(id: unknown): void {
    if (!this.#unanswered.delete(id)) return;
    this.#endless.delete(id);
    if (this.#unanswered.size === MAX_UNDER_WAY - 1) queueMicrotask(this.#take);
    this.#closeWhenAnswered();
  }

  #closeWhenAnswered(): void {
    if (!this.#ended || this.#unread.length > 0 || this.#length > 0) return;
    if (this.#unanswered.size === this.#endless.size) void this.close();
  }

  #closeWithin(limitMs: number, atLimit: () => void): void {
    clearTimeout(this.#finishing);
    this.#finishing = setTimeout(() => {
      atLimit();
      this.#finishing = setTimeout(() => this.#refuseRest(), LAST_ANSWERS_MS);
    }, limitMs);
  }

  #refuseRest(): void {
    const error = {
      code: SERVER_STOPPING,
      message: "The server is stopping; send the request again later",
    };
    for (const id of this.#unanswered) this.send({ jsonrpc: "2.0", id, error }).catch(() => {});
    void this.close();
  }
}

/** A cancelled request is not answered. */
function cancelledId({ params }: JsonRpcMessage): unknown {
  return (params as { requestId?: unknown } | undefined)?.requestId;
}
