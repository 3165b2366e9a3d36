import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

type Id = string | number;
type Send = StreamableHTTPServerTransport["send"];
type Deliver = NonNullable<StreamableHTTPServerTransport["onmessage"]>;

/** As the Language Server Protocol numbers it; MCP has no code of its own. */
const REQUEST_CANCELLED = -32800;
const SERVER_STOPPING = -32000;

/**
 * The requests of one session that have no answer yet. The SDK answers neither a cancelled request nor those that are cut off when
 * the server stops, and over HTTP the response that belongs to them would stay open: here each one ends with an answer.
 */
export class RequestsUnderWay {
  readonly #ids = new Set<Id>();
  readonly #send: Send;
  readonly #onError: (error: unknown) => void;

  /** Call it when a server has been connected to the transport: it stands between the two. */
  constructor(transport: StreamableHTTPServerTransport, onError: (error: unknown) => void) {
    this.#onError = onError;
    this.#send = transport.send.bind(transport);
    transport.send = (message, options) => {
      if (!("method" in message)) this.#ids.delete(message.id as Id);
      return this.#send(message, options);
    };
    const deliver = transport.onmessage?.bind(transport) as Deliver;
    transport.onmessage = (message, extra) => {
      if ("method" in message && "id" in message) this.#ids.add(message.id);
      deliver(message, extra);
      if ("method" in message && message.method === "notifications/cancelled")
        this.#cancelled(message.params?.["requestId"] as Id);
    };
  }

  /** The first id of the body's requests that is in use; the two answers could not be told apart. */
  duplicate(body: unknown): Id | undefined {
    const messages: readonly unknown[] = Array.isArray(body) ? body : [body];
    const taken = new Set(this.#ids);
    for (const message of messages) {
      const { id, method } = (message ?? {}) as { id?: Id; method?: unknown };
      if (method === undefined || id === undefined) continue;
      if (taken.has(id)) return id;
      taken.add(id);
    }
    return undefined;
  }

  /** Answers what is left: the server stops. */
  async stop(): Promise<void> {
    await Promise.all(
      [...this.#ids].map((id) =>
        this.#fail(id, SERVER_STOPPING, "The server is stopping; send the request again later"),
      ),
    );
  }

  /** The SDK has been told first, and sends nothing for it any more. */
  #cancelled(id: Id): void {
    if (this.#ids.has(id)) void this.#fail(id, REQUEST_CANCELLED, "The request was cancelled");
  }

  async #fail(id: Id, code: number, message: string): Promise<void> {
    this.#ids.delete(id);
    try {
      await this.#send({ jsonrpc: "2.0", id, error: { code, message } });
    } catch (error) {
      this.#onError(error);
    }
  }
}
