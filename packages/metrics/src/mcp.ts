import { OTHER } from "./cardinality.ts";
import { InvalidOptionError, UnsupportedServerError } from "./errors.ts";
import type { Operation, OperationMetrics } from "./operations.ts";

/** Whatever has the operation metrics: `Metrics` does. */
export interface HasOperations {
  readonly operations: Pick<OperationMetrics, "start">;
}

export interface MeasuredCall extends Pick<
  Operation,
  "method" | "tool" | "transport" | "protocolVersion" | "traceparent"
> {
  /** The request's own signal: what ends after it was aborted counts as `cancelled`, as nobody gets the answer any more. */
  readonly signal?: Pick<AbortSignal, "aborted"> | undefined;
}

export interface MeasureToolsOptions {
  /** Default: `http` when the request came with HTTP data, else `stdio`. */
  readonly transport?: Operation["transport"];
  /** Default: what the server says it negotiated, or the request's `MCP-Protocol-Version` header. */
  readonly protocolVersion?: string;
}

/** The part of an MCP server that is used, the same in `@modelcontextprotocol/sdk` 1.x and `@modelcontextprotocol/server` 2.x. */
interface ProtocolServer {
  setRequestHandler(...args: never[]): unknown;
  readonly _requestHandlers: Map<string, RequestHandler>;
  getNegotiatedProtocolVersion?(): string | undefined;
}

type RequestHandler = (request: ToolRequest, context: RequestContext) => unknown;

interface ToolRequest {
  readonly params?: {
    readonly name?: unknown;
    readonly _meta?: { readonly traceparent?: unknown };
  };
}

interface RequestContext {
  readonly requestInfo?: { readonly headers?: Readonly<Record<string, unknown>> };
  readonly http?: { readonly req?: unknown };
  /** Of 1.x. */
  readonly signal?: AbortSignal;
  /** Of 2.x. */
  readonly mcpReq?: { readonly signal?: AbortSignal };
}

const TOOLS_CALL = "tools/call";
const CANCELLED = "cancelled";
const WORD = /^[\w.:/-]{1,64}$/;

/**
 * Runs `run`, counted as active meanwhile, and records how long it took and how it ended: `error_type` is `cancelled` when the
 * call's signal was aborted by then, else the code or name of what it threw, `tool_error` for a result with `isError`, absent for
 * a success. Result and error pass through unchanged.
 */
export async function measure<R>(
  metrics: HasOperations,
  call: MeasuredCall,
  run: () => Promise<R>,
): Promise<R> {
  const { signal, ...operation } = call;
  const stopwatch = metrics.operations.start(operation);
  let errorType: string | undefined;
  try {
    const result = await run();
    if (isErrorResult(result)) errorType = "tool_error";
    return result;
  } catch (error) {
    errorType = errorTypeOf(error);
    throw error;
  } finally {
    if (signal?.aborted === true) errorType = CANCELLED;
    stopwatch.record(errorType === undefined ? operation : { ...operation, errorType });
  }
}

/**
 * Measures every `tools/call` of an `McpServer`, with the validation of input and output, whether its tools were registered before
 * or are later. Names that are not registered become `_OTHER`. Disposing gives the server back its own handler.
 *
 * Throws `UnsupportedServerError` when the object is not a server of a known shape.
 */
export function measureTools(
  server: object,
  metrics: HasOperations,
  options: MeasureToolsOptions = {},
): Disposable {
  const protocol = protocolServerOf(server);
  const registered = registeredTools(server);
  checkOptions(options);
  const { _requestHandlers: handlers } = protocol;
  const wrapped = new Map<RequestHandler, RequestHandler>();
  let active = true;

  const attach = (): void => {
    const handler = handlers.get(TOOLS_CALL);
    if (!active || handler === undefined || wrapped.has(handler)) return;
    const measured: RequestHandler = (request, context) => {
      if (!active) return handler(request, context);
      const call = describeCall(request, context, registered(), protocol, options);
      return measure(metrics, call, async () => await handler(request, context));
    };
    wrapped.set(measured, handler);
    handlers.set(TOOLS_CALL, measured);
  };
  const release = interceptRegistration(protocol, attach);
  attach();
  return {
    [Symbol.dispose]: () => {
      active = false;
      release();
      const current = handlers.get(TOOLS_CALL);
      const original = current === undefined ? undefined : wrapped.get(current);
      if (original !== undefined) handlers.set(TOOLS_CALL, original);
    },
  };
}

/** Calls `after` whenever a handler was set; returns what undoes it, unless somebody has wrapped the method since. */
function interceptRegistration(protocol: ProtocolServer, after: () => void): () => void {
  const own = Object.getOwnPropertyDescriptor(protocol, "setRequestHandler");
  const setRequestHandler = protocol.setRequestHandler.bind(protocol);
  const intercepted = (...args: never[]): unknown => {
    const result = setRequestHandler(...args);
    after();
    return result;
  };
  Object.defineProperty(protocol, "setRequestHandler", {
    value: intercepted,
    configurable: true,
    enumerable: false,
    writable: true,
  });
  return () => {
    if (protocol.setRequestHandler !== intercepted) return;
    if (own === undefined) Reflect.deleteProperty(protocol, "setRequestHandler");
    else Object.defineProperty(protocol, "setRequestHandler", own);
  };
}

function describeCall(
  request: ToolRequest,
  context: RequestContext | undefined,
  registered: object | undefined,
  protocol: ProtocolServer,
  options: MeasureToolsOptions,
): MeasuredCall {
  const name = request.params?.name;
  const known =
    typeof name === "string" && (registered === undefined || Object.hasOwn(registered, name));
  const headers = context?.requestInfo?.headers;
  const overHttp = context?.requestInfo !== undefined || context?.http?.req !== undefined;
  const version =
    options.protocolVersion ??
    protocol.getNegotiatedProtocolVersion?.() ??
    headers?.["mcp-protocol-version"];
  const traceparent = request.params?._meta?.traceparent;
  const signal = context?.mcpReq?.signal ?? context?.signal;
  return {
    method: TOOLS_CALL,
    tool: known ? name : OTHER,
    transport: options.transport ?? (overHttp ? "http" : "stdio"),
    ...(typeof version === "string" ? { protocolVersion: version } : {}),
    ...(typeof traceparent === "string" ? { traceparent } : {}),
    signal,
  };
}

function protocolServerOf(server: object): ProtocolServer {
  const inner: unknown = (server as { readonly server?: unknown } | null)?.server ?? server;
  const { setRequestHandler, _requestHandlers } = (inner ?? {}) as Partial<ProtocolServer>;
  if (typeof setRequestHandler !== "function")
    throw new UnsupportedServerError("setRequestHandler");
  if (!(_requestHandlers instanceof Map)) throw new UnsupportedServerError("_requestHandlers");
  return inner as ProtocolServer;
}

/** The tools of an `McpServer`; a low-level `Server` has no list of them. */
function registeredTools(server: object): () => object | undefined {
  return () => {
    const { _registeredTools } = server as { readonly _registeredTools?: unknown };
    return typeof _registeredTools === "object" && _registeredTools !== null
      ? _registeredTools
      : undefined;
  };
}

function checkOptions({ transport, protocolVersion }: MeasureToolsOptions): void {
  if (transport !== undefined && typeof transport !== "string") {
    throw new InvalidOptionError("transport", "a string", transport);
  }
  if (protocolVersion !== undefined && typeof protocolVersion !== "string") {
    throw new InvalidOptionError("protocolVersion", "a string", protocolVersion);
  }
}

function isErrorResult(result: unknown): boolean {
  return (
    typeof result === "object" && result !== null && "isError" in result && result.isError === true
  );
}

function errorTypeOf(error: unknown): string {
  try {
    return wordOf(error);
  } catch {
    return OTHER; // an error whose properties throw: the caller gets it, not what they threw
  }
}

function wordOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return OTHER;
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  const hasCode = typeof code === "string" || typeof code === "number";
  const word = hasCode && !hasLegacyCode(error, code) ? String(code) : name;
  return typeof word === "string" && WORD.test(word) ? word : OTHER;
}

/** The numbers of a `DOMException` are a legacy that says less than its name, and Node's own aborts are `AbortError`s as well. */
function hasLegacyCode(error: object, code: string | number): boolean {
  return error instanceof DOMException || code === "ABORT_ERR";
}
