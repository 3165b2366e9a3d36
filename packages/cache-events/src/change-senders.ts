import { hasHints } from "./cache-hints.ts";
import { CacheOptionError } from "./errors.ts";
import type { ListKind } from "./mcp-changes.ts";
import { fields, innerOf } from "./mcp-shapes.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Tells the clients of one server what has changed. */
export interface ChangeSender {
  /** Whether anyone wants to hear of the resource. */
  wants(uri: string): boolean;
  list(kind: ListKind): unknown;
  resource(uri: string): unknown;
  restore(): void;
}

type Send = (params?: unknown) => unknown;

const serverMethods: Readonly<Record<ListKind, string>> = {
  tools: "sendToolListChanged",
  prompts: "sendPromptListChanged",
  resources: "sendResourceListChanged",
};

const notifierMethods: Readonly<Record<ListKind, string>> = {
  tools: "toolsChanged",
  prompts: "promptsChanged",
  resources: "resourcesChanged",
};

/** @throws CacheOptionError when there is no way to tell the clients of `target`. */
export function senderTo(target: object, maxSubscriptions: number): ChangeSender {
  const { notify } = fields(target);
  for (const notifier of [target, notify]) {
    if (has(notifier, "resourceUpdated", ...Object.values(notifierMethods)))
      return new NotifierSender(notifier);
  }
  const inner = innerOf(target);
  if (!has(inner, "sendResourceUpdated", ...Object.values(serverMethods)))
    throw new CacheOptionError(
      "target",
      "an McpServer or Server of the MCP SDK, 1 or 2, or what createMcpHandler returns",
      target,
    );
  return new ServerSender(inner, maxSubscriptions);
}

/** A server with a connection of its own, of either generation. */
class ServerSender implements ChangeSender {
  readonly #inner: object;
  readonly #subscriptions: Subscriptions;

  constructor(inner: object, maxSubscriptions: number) {
    this.#inner = inner;
    this.#subscriptions = new Subscriptions(inner, maxSubscriptions);
  }

  /** On 2026-07-28 the transport knows who listens, and the server does not. */
  wants(uri: string): boolean {
    return this.#connected() && (hasHints(this.#inner) || this.#subscriptions.has(uri));
  }

  list(kind: ListKind): unknown {
    return this.#connected() ? call(this.#inner, serverMethods[kind]) : undefined;
  }

  resource(uri: string): unknown {
    return this.wants(uri) ? call(this.#inner, "sendResourceUpdated", { uri }) : undefined;
  }

  restore(): void {
    this.#subscriptions.restore();
  }

  #connected(): boolean {
    return fields(this.#inner)["transport"] !== undefined;
  }
}

/** The notifier of an HTTP handler of version 2, whose servers live for one request. */
class NotifierSender implements ChangeSender {
  readonly #notifier: object;

  constructor(notifier: object) {
    this.#notifier = notifier;
  }

  wants(): boolean {
    return true;
  }

  list(kind: ListKind): unknown {
    return call(this.#notifier, notifierMethods[kind]);
  }

  resource(uri: string): unknown {
    return call(this.#notifier, "resourceUpdated", uri);
  }

  restore(): void {}
}

function has(target: unknown, ...methods: readonly string[]): target is object {
  return methods.every((method) => typeof fields(target)[method] === "function");
}

function call(target: object, method: string, params?: unknown): unknown {
  return (fields(target)[method] as Send).call(target, params);
}
