/** What the adapters read of the objects of both generations of the SDK, by structure. */
export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** The `Server` beneath an `McpServer`; one that is none is its own. */
export function innerOf(server: object): object {
  const { server: inner } = fields(server);
  return typeof inner === "object" && inner !== null ? inner : server;
}

/** The namespace of the server's entries: replicas of one server have the same. */
export function namespaceOf(server: object): string {
  const { name } = fields(fields(innerOf(server))["_serverInfo"]);
  return typeof name === "string" ? `mcp:${name}` : "mcp";
}

/** Another version may answer differently; what one invalidates goes for all, because the namespace is the same. */
export function versionOf(server: object): string {
  const { version } = fields(fields(innerOf(server))["_serverInfo"]);
  return typeof version === "string" ? version : "";
}

/** The signal of the request. */
export function signalOf(context: unknown): AbortSignal | undefined {
  const signal = fields(context)["signal"] ?? fields(fields(context)["mcpReq"])["signal"];
  return signal instanceof AbortSignal ? signal : undefined;
}

/** The `_meta` of the request. */
export function metaOf(context: unknown): Fields {
  const { _meta, mcpReq } = fields(context);
  return fields(_meta ?? fields(mcpReq)["_meta"]);
}

/** The request continues one that asked its client for input: its result depends on the answers. */
export function isAnswer(context: unknown): boolean {
  const { inputResponses, requestState } = fields(fields(context)["mcpReq"]);
  if (inputResponses !== undefined) return true;
  return typeof requestState === "function" && requestState() !== undefined;
}

/** `context` for a run that several requests may wait for: `signal` ends it, and `asks` is told when it asks the client for something. */
export function sharedContext(
  context: unknown,
  signal: AbortSignal | undefined,
  asks: () => void,
): unknown {
  const { mcpReq } = fields(context);
  if (mcpReq === undefined) {
    if (signal === undefined || typeof context !== "object") return context;
    return { ...context, signal };
  }
  const { send } = fields(mcpReq);
  const request = {
    ...fields(mcpReq),
    ...(signal === undefined ? {} : { signal }),
    ...(typeof send === "function" ? { send: telling(send as AnyFunction, asks) } : {}),
  };
  return { ...fields(context), mcpReq: request };
}

type AnyFunction = (this: unknown, ...args: readonly unknown[]) => unknown;

function telling(send: AnyFunction, asks: () => void): AnyFunction {
  return function told(...args) {
    asks();
    return send.call(this, ...args);
  };
}
