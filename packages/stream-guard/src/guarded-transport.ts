import type { IncomingMessage, ServerResponse } from "node:http";
import { MemoryLimitError, QueueFullError, ReaderStalledError } from "./errors.ts";
import { refuse } from "./http-refusal.ts";
import {
  cancelledRequest,
  isRequest,
  isResponse,
  tooLargeResponse,
  tooManyRequestsResponse,
} from "./json-rpc.ts";
import type { JsonRpcMessage } from "./json-rpc.ts";
import { Outbox } from "./outbox.ts";
import type { OutboxOptions } from "./outbox.ts";
import { PendingRequests } from "./pending-requests.ts";
import { readBody } from "./request-body.ts";
import { ResponseMeter } from "./response-meter.ts";
import { safely } from "./safe-emit.ts";
import type { StreamingSession } from "./streaming-session.ts";

/** The part of an MCP transport that is looked at; everything else is passed through. */
export interface TransportLike {
  send(message: never, options?: never): Promise<void>;
  close(): Promise<void>;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: never, extra?: never) => void) | undefined;
}

export interface GuardedTransportOptions extends Omit<OutboxOptions, "responses"> {
  readonly maxRequests: number;
  readonly maxBodyBytes: number;
}

type OnMessage = (message: JsonRpcMessage, extra?: unknown) => void;
type HandleRequest = (request: unknown, response: unknown, ...rest: unknown[]) => unknown;

/** Ties a transport to a session: what it sends is charged, and the end of one is the end of the other. */
export class GuardedTransport {
  readonly #transport: TransportLike;
  readonly #session: StreamingSession;
  readonly #outbox: Outbox;
  readonly #responses = new Set<ServerResponse>();
  readonly #requests: PendingRequests;
  readonly #options: GuardedTransportOptions;
  #onclose: TransportLike["onclose"];
  #onmessage: OnMessage | undefined;
  #transportClosed = false;

  constructor(
    transport: TransportLike,
    session: StreamingSession,
    options: GuardedTransportOptions,
  ) {
    this.#transport = transport;
    this.#session = session;
    this.#options = options;
    this.#requests = new PendingRequests(session, options.maxRequests);
    this.#outbox = new Outbox(session, { ...options, responses: this.#responses });
    this.#onclose = transport.onclose;
    this.#onmessage = transport.onmessage as OnMessage | undefined;
    Object.assign(transport, { onclose: this.#handleClose, onmessage: this.#handleMessage });
    session.signal.addEventListener("abort", this.#handleSessionClose, { once: true });
  }

  /** The properties that stand in front of the transport's own. */
  facade(): object {
    const descriptors: PropertyDescriptorMap = {
      send: { value: (message: JsonRpcMessage, options?: unknown) => this.#send(message, options) },
      onclose: {
        get: () => this.#onclose,
        set: (handler: TransportLike["onclose"]) => {
          this.#onclose = handler;
        },
      },
      onmessage: {
        get: () => this.#onmessage,
        set: (handler: OnMessage | undefined) => {
          this.#onmessage = handler;
        },
      },
    };
    if (handleRequestOf(this.#transport) !== undefined)
      descriptors["handleRequest"] = { value: this.#handleRequest };
    return Object.create(null, descriptors) as object;
  }

  async #send(message: JsonRpcMessage, options: unknown): Promise<void> {
    try {
      const bytes = this.#outbox.cost(message);
      if (bytes <= this.#session.maxMemoryBytes) await this.#post(message, bytes, options);
      else await this.#refuse(message, bytes, options);
    } finally {
      if (isResponse(message)) this.#requests.end(message.id);
    }
  }

  async #post(message: JsonRpcMessage, bytes: number, options: unknown): Promise<void> {
    try {
      await this.#outbox.post(bytes, () =>
        this.#transport.send(message as never, options as never),
      );
    } catch (error) {
      if (error instanceof MemoryLimitError) await this.#session.close("limit");
      throw error;
    }
  }

  /** A message that can never fit: the session lives on, and a request is answered with an error. */
  async #refuse(message: JsonRpcMessage, bytes: number, options: unknown): Promise<void> {
    try {
      this.#session.reserve(bytes);
    } catch (error) {
      if (!(error instanceof MemoryLimitError) || !isResponse(message)) throw error;
      const refusal = tooLargeResponse(message, error);
      await this.#post(refusal, this.#outbox.cost(refusal), options);
    }
  }

  readonly #handleRequest: HandleRequest = async (request, response, parsedBody, ...rest) => {
    const handle = handleRequestOf(this.#transport);
    if (!isNodeResponse(response) || this.#session.closed)
      return handle?.(request, response, parsedBody, ...rest);
    this.#meter(response);
    if (parsedBody !== undefined || !hasMessage(request as IncomingMessage))
      return handle?.(request, response, parsedBody, ...rest);
    const maxBytes = Math.min(this.#options.maxBodyBytes, this.#session.maxMemoryBytes);
    const body = await readBody(request as IncomingMessage, this.#session, maxBytes);
    if ("value" in body) return handle?.(request, response, body.value, ...rest);
    return refuse(response, body.refusal);
  };

  #meter(response: ServerResponse): void {
    this.#responses.add(response);
    this.#session.touch();
    this.#requests.connected(true);
    const meter = new ResponseMeter(response, this.#session, {
      inTransit: this.#outbox.inTransit,
      absorb: true,
      onClose: () => {
        this.#responses.delete(response);
        this.#requests.connected(this.#responses.size > 0);
        this.#closeWhenQuiet();
      },
    });
    meter.attach();
  }

  readonly #handleMessage = (message: JsonRpcMessage, extra?: unknown): void => {
    if (this.#session.closed) return;
    this.#session.touch();
    this.#requests.end(cancelledRequest(message));
    if (!isRequest(message) || this.#requests.tryBegin(message.id))
      this.#onmessage?.(message, extra);
    else void this.#refuseRequest(message);
  };

  async #refuseRequest(message: JsonRpcMessage): Promise<void> {
    const { maxRequests } = this.#options;
    const error = new QueueFullError(`requests of session ${this.#session.id}`, maxRequests);
    const refusal = tooManyRequestsResponse(message, error) as JsonRpcMessage;
    try {
      await this.#post(refusal, this.#outbox.cost(refusal), undefined);
    } catch (reason) {
      this.#report(reason as Error);
    }
  }

  readonly #handleClose = (): void => {
    this.#transportClosed = true;
    this.#closeWhenQuiet();
    this.#onclose?.();
  };

  /** A closed transport's responses may still hold bytes; the session lasts until they are gone. */
  #closeWhenQuiet(): void {
    if (this.#transportClosed && this.#responses.size === 0) void this.#session.close();
  }

  readonly #handleSessionClose = (): void => {
    this.#requests.clear();
    const error = this.#session.signal.reason as Error;
    const notRead = error instanceof ReaderStalledError || this.#session.closeReason === "limit";
    if (notRead) this.#options.destination?.destroy();
    if (this.#transportClosed) return;
    this.#report(error);
    void this.#closeTransport();
  };

  #report(error: Error): void {
    safely(() => this.#transport.onerror?.(error));
  }

  async #closeTransport(): Promise<void> {
    try {
      await this.#transport.close();
    } catch (error) {
      this.#report(error as Error);
    }
  }
}

/** Other requests are refused by the transports without reading what they carry. */
function hasMessage({ method, headers }: IncomingMessage): boolean {
  const { accept = "", "content-type": type = "" } = headers;
  return method === "POST" && type.includes("json") && accept.includes("text/event-stream");
}

function isNodeResponse(response: unknown): response is ServerResponse {
  const candidate = response as Partial<ServerResponse> | null | undefined;
  return typeof candidate?.write === "function" && typeof candidate.writableLength === "number";
}

function handleRequestOf(transport: TransportLike): HandleRequest | undefined {
  const { handleRequest } = transport as { handleRequest?: HandleRequest };
  return typeof handleRequest === "function" ? handleRequest.bind(transport) : undefined;
}
