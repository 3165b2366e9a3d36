import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { isEventStream, lastEventId } from "./event-stream.ts";

type Controller = Dispatcher.DispatchController;
type Handler = Dispatcher.DispatchHandler;

/** Streams that were ended here and could be resumed, of which the last ones are remembered. */
const MAX_ABANDONED = 1000;

/** Who asks: a session, and the signal by which its transport ends everything; the ids of others may be the same. */
export interface McpScope {
  readonly session: string;
  readonly signal: AbortSignal | undefined;
}

/** The requests of MCP clients that are under way, so that one that is cancelled ends here too. */
export class McpCalls {
  readonly #live = new Map<string, McpCall[]>();
  readonly #abandoned = new Set<string>();

  /** Ids of requests that are under way. */
  get size(): number {
    return this.#live.size;
  }

  /** Wraps the handler of a POST with requests. */
  watch(scope: McpScope, ids: readonly string[]): (handler: Handler) => Handler {
    return (handler) => {
      const call = new McpCall(handler, scope, ids, (ended) => this.#forget(ended));
      for (const id of ids) {
        const key = keyOf(scope, id);
        this.#live.set(key, [...(this.#live.get(key) ?? []), call]);
      }
      return call;
    };
  }

  /** Ends the POST of a request that its client cancelled; none when it is not known which one that is. */
  cancel(scope: McpScope, id: string): void {
    const calls = this.#live.get(keyOf(scope, id)) ?? [];
    const [call, ...others] = calls.filter(({ signal }) => signal === scope.signal);
    if (call === undefined || others.length > 0 || !call.cancel(id)) return;
    if (call.eventId === undefined) return;
    this.#abandoned.add(resumeKey(scope.session, call.eventId));
    const [oldest = ""] = this.#abandoned;
    if (this.#abandoned.size > MAX_ABANDONED) this.#abandoned.delete(oldest);
  }

  /** Whether a client wants to go on with a stream of which it has cancelled the request. */
  isAbandoned(session: string, eventId: string): boolean {
    return this.#abandoned.has(resumeKey(session, eventId));
  }

  #forget(call: McpCall): void {
    for (const id of call.ids) {
      const key = keyOf(call.scope, id);
      const rest = (this.#live.get(key) ?? []).filter((other) => other !== call);
      if (rest.length === 0) this.#live.delete(key);
      else this.#live.set(key, rest);
    }
  }
}

class McpCall implements Handler {
  readonly scope: McpScope;
  readonly ids: readonly string[];
  /** The last event of its answer, by which the client could resume it. */
  eventId: string | undefined;
  readonly #handler: Handler;
  readonly #onEnd: (call: McpCall) => void;
  readonly #wanted: Set<string>;
  #controller: Controller | undefined;
  #answered = false;
  #hasEvents = false;
  #over = false;

  constructor(
    handler: Handler,
    scope: McpScope,
    ids: readonly string[],
    onEnd: (call: McpCall) => void,
  ) {
    this.#handler = handler;
    this.scope = scope;
    this.ids = ids;
    this.#wanted = new Set(ids);
    this.#onEnd = onEnd;
  }

  get signal(): AbortSignal | undefined {
    return this.scope.signal;
  }

  /**
   * A client that cancels awaits nothing more, so that a stream ends as if the server had ended it.
   * @returns whether that was the last of its requests
   */
  cancel(id: string): boolean {
    this.#wanted.delete(id);
    const controller = this.#controller;
    if (this.#over || this.#wanted.size > 0 || controller === undefined) return false;
    this.#end();
    const reason = new DOMException("the request was cancelled by its client", "AbortError");
    if (this.#answered) this.#handler.onResponseEnd?.(controller, {});
    else this.#handler.onResponseError?.(controller, reason);
    controller.abort(reason);
    return true;
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.#controller = controller;
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStart(
    controller: Controller,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    if (this.#over) return;
    this.#answered = statusCode >= 200;
    this.#hasEvents = isEventStream(headers) && headers["content-encoding"] === undefined;
    this.#handler.onResponseStart?.(controller, statusCode, headers, statusMessage);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return;
    if (this.#hasEvents) this.eventId = lastEventId(chunk) ?? this.eventId;
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
    if (this.#over) return;
    this.#end();
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Controller, error: Error): void {
    if (this.#over) return;
    this.#end();
    this.#handler.onResponseError?.(controller, error);
  }

  #end(): void {
    this.#over = true;
    this.#onEnd(this);
  }
}

function keyOf({ session }: McpScope, id: string): string {
  return `${session} ${id}`;
}

function resumeKey(session: string, eventId: string): string {
  return `${session} ${eventId}`;
}
