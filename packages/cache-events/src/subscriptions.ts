import { SubscriptionLimitError } from "./errors.ts";
import { fields } from "./mcp-shapes.ts";
import { override } from "./override.ts";

type Handler = (request: unknown, context: unknown) => unknown;
type Lookup = (method: string) => Handler | undefined;

const maxUriChars = 8_192;

/**
 * What the client of a server has subscribed to before protocol 2026-07-28. A server that declares `resources.subscribe` and has no
 * handlers for it gets them here.
 */
export class Subscriptions {
  readonly #inner: object;
  readonly #max: number;
  readonly #uris = new Set<string>();
  readonly #restore: () => void;
  #transport: unknown;

  constructor(inner: object, max: number) {
    this.#inner = inner;
    this.#max = max;
    const handlers = fields(inner)["_requestHandlers"];
    this.#restore =
      handlers instanceof Map
        ? override<Lookup>(
            handlers,
            "get",
            (get) => (method) => this.#wrapped(method, get.call(handlers, method)),
          )
        : () => {};
  }

  restore(): void {
    this.#restore();
  }

  has(uri: string): boolean {
    return this.#current().has(uri);
  }

  all(): readonly string[] {
    return [...this.#current()];
  }

  #wrapped(method: string, handler: Handler | undefined): Handler | undefined {
    if (method !== "resources/subscribe" && method !== "resources/unsubscribe") return handler;
    if (handler === undefined && !this.#declared()) return undefined;
    return async (request, context) => {
      const { uri } = fields(fields(request)["params"]);
      if (typeof uri !== "string") return handler?.(request, context) ?? {};
      if (method === "resources/subscribe") this.#check(uri);
      const result = (await handler?.(request, context)) ?? {};
      if (method === "resources/unsubscribe") this.#current().delete(uri);
      else this.#current().add(uri);
      return result;
    };
  }

  #check(uri: string): void {
    const uris = this.#current();
    if (uris.has(uri)) return;
    if (uri.length > maxUriChars) throw new SubscriptionLimitError(`${maxUriChars} characters`);
    if (uris.size >= this.#max) throw new SubscriptionLimitError(`${this.#max} subscriptions`);
  }

  /** They end with the connection. */
  #current(): Set<string> {
    const { transport } = fields(this.#inner);
    if (transport !== this.#transport) this.#uris.clear();
    this.#transport = transport;
    return this.#uris;
  }

  #declared(): boolean {
    const { subscribe } = fields(fields(fields(this.#inner)["_capabilities"])["resources"]);
    return subscribe === true;
  }
}
