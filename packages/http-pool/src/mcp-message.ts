/** What the pool has to know of the JSON-RPC messages in the body of a POST. */
export interface McpPost {
  /** Of messages that have one; "" for an answer. */
  readonly methods: readonly string[];
  /** Of requests, as JSON. */
  readonly requestIds: readonly string[];
  /** Of requests that are cancelled, as JSON. */
  readonly cancelled: readonly string[];
  /** Of the calls of tools; "" when a call names none. */
  readonly tools: readonly string[];
  /** Nobody answers them: answers and notifications. */
  readonly repliesOnly: boolean;
  /** All of them were read. */
  readonly complete: boolean;
}

/** Larger bodies are not parsed, and so not sent a second time. */
const MAX_PARSED_LENGTH = 64 * 1024;
const EDGE_LENGTH = 512;
const CANCELLED = "notifications/cancelled";
export const CALL = "tools/call";
const NOTHING: McpPost = readAll([]);

/** Bodies that hold anything else than messages give none. */
export function readPost(body: string): McpPost {
  if (body.length > MAX_PARSED_LENGTH) return readEdges(body);
  try {
    const message: unknown = JSON.parse(body);
    return readAll(Array.isArray(message) ? message : [message]);
  } catch {
    return NOTHING;
  }
}

function readAll(messages: readonly unknown[]): McpPost {
  const records = messages.filter(isRecord);
  const requests = records.filter(({ method, id }) => isString(method) && isId(id));
  return {
    methods: messages.map(methodOf),
    requestIds: requests.map(({ id }) => JSON.stringify(id)),
    cancelled: records
      .filter((message) => methodOf(message) === CANCELLED)
      .flatMap(({ params }) =>
        isRecord(params) && isId(params["requestId"]) ? [JSON.stringify(params["requestId"])] : [],
      ),
    tools: records.filter((message) => methodOf(message) === CALL).map(toolOf),
    repliesOnly: records.length > 0 && records.every(isReply),
    complete: true,
  };
}

/**
 * A large message is looked at where clients write what matters: its first member, and its last, which closes the
 * outermost object and so cannot be one of an argument's.
 */
function readEdges(body: string): McpPost {
  const head = body.slice(0, EDGE_LENGTH);
  const start =
    /^\{(?:"jsonrpc":"2\.0",|"id":(?:\d+|"[^"\\]*"),)*"(method|result|error)":(?:"([^"\\]*)")?/;
  const [first, kind, method = ""] = start.exec(head) ?? [];
  const before = first === undefined ? undefined : /"id":(\d+|"[^"\\]*"),/.exec(first)?.[1];
  const after = /"id":(\d+|"[^"\\]*")\}$/.exec(body.slice(-EDGE_LENGTH))?.[1];
  const id = before ?? after;
  return {
    methods: kind === "method" ? [method] : [],
    requestIds: kind === "method" && id !== undefined ? [id] : [],
    cancelled: [],
    tools: [],
    repliesOnly: kind === "result" || kind === "error",
    complete: false,
  };
}

function isReply(message: Record<string, unknown>): boolean {
  if (isString(message["method"])) return !("id" in message);
  return "result" in message || "error" in message;
}

function methodOf(message: unknown): string {
  return isRecord(message) && isString(message["method"]) ? message["method"] : "";
}

function toolOf({ params }: Record<string, unknown>): string {
  return isRecord(params) && isString(params["name"]) ? params["name"] : "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isId(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}
