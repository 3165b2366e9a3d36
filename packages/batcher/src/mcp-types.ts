/** The part of a tool result this package makes or reads; both SDK generations accept it. */
export interface ToolResult {
  [key: string]: unknown;
  content: readonly unknown[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export interface TextContent {
  [key: string]: unknown;
  type: "text";
  text: string;
}

export interface TextToolResult {
  [key: string]: unknown;
  content: TextContent[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** What a handler may know about the request it serves. */
export interface RequestContext {
  readonly signal?: AbortSignal | undefined;
  /** Reports progress to the client; without effect when the client did not ask for it. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

type Notify = (notification: {
  method: "notifications/progress";
  params: { progressToken: string | number; progress: number; total: number };
}) => Promise<void>;

interface RequestParts {
  readonly signal?: AbortSignal;
  readonly _meta?: { readonly progressToken?: string | number | undefined } | undefined;
}

/** The second argument of a tool handler: flat in the v1 SDK, under `mcpReq` in the v2 SDK. */
export interface HandlerExtra extends RequestParts {
  readonly sendNotification?: Notify;
  readonly mcpReq?: RequestParts & { readonly notify?: Notify };
}

/** Signal and progress of a request, from the second argument of a tool handler of either SDK generation. */
export function requestContext(extra: HandlerExtra | undefined): RequestContext {
  const request = extra?.mcpReq ?? extra;
  const notify = extra?.mcpReq?.notify ?? extra?.sendNotification;
  const { _meta: meta, signal: abort } = request ?? {};
  const progressToken = meta?.progressToken;
  const signal = abort === undefined ? {} : { signal: abort };
  if (notify === undefined || progressToken === undefined) return signal;
  return {
    ...signal,
    progress(done, total) {
      const params = { progressToken, progress: done, total };
      void tell(notify, params);
    },
  };
}

/** Whether it is the context of a request and not the arguments of a call: those come as JSON, without an `AbortSignal`. */
export function isHandlerExtra(value: unknown): value is HandlerExtra {
  const { mcpReq, sendNotification, signal } = Object(value) as HandlerExtra;
  if (mcpReq !== undefined) return Object(mcpReq).signal instanceof AbortSignal;
  return signal instanceof AbortSignal && typeof sendNotification === "function";
}

export function textResult(text: string, rest: Partial<TextToolResult> = {}): TextToolResult {
  return { content: [{ type: "text", text }], ...rest };
}

/** A client that has gone away does not care for progress. */
async function tell(notify: Notify, params: Parameters<Notify>[0]["params"]): Promise<void> {
  try {
    await notify({ method: "notifications/progress", params });
  } catch {
    // The request goes on without.
  }
}
