import type { Fields } from "./mcp-shapes.ts";
import { fields } from "./mcp-shapes.ts";
import { frozenCopy } from "./plain-json.ts";

/** Carries a result that must not be stored past the cache. */
export class Unshared extends Error {
  readonly result: object;

  constructor(result: object) {
    super("the result is not shared");
    this.result = result;
  }
}

const personal = new WeakSet<object>();

/** Marks the result of a run that asked its client for something on the way: it is not an answer to anyone else. */
export function keepPersonal(result: object): void {
  personal.add(result);
}

/**
 * A copy of a tool's result that may be shared, or `undefined` when the result must not be: it reports an error, asks the client
 * for input, stands for a task, is not well-formed `content`, or not plain JSON. What it repeats of `meta` is left out.
 */
export function shareableResult(result: unknown, meta: object = {}): object | undefined {
  if (!isContentResult(result) || Boolean(result["isError"])) return undefined;
  if (!(result["content"] as readonly unknown[]).every(isBlock)) return undefined;
  return frozenCopy(withoutCallMeta(result, meta));
}

/** Whether it is an answer to anyone who asks the same, or part of a conversation with one client. */
export function isContentResult(result: unknown): result is Fields {
  if (typeof result !== "object" || result === null || personal.has(result)) return false;
  const { content, resultType, inputRequests, task } = result as Fields;
  return (
    Array.isArray(content) &&
    (resultType === undefined || resultType === "complete") &&
    inputRequests === undefined &&
    task === undefined
  );
}

/** The shared result for one caller: a fresh object, with the `_meta` of its own run if there was one. */
export function ownResult<R extends object>(shared: R, own: object | undefined): R {
  const { _meta } = fields(own);
  return _meta === undefined ? { ...shared } : { ...shared, _meta };
}

/** `_meta` of a request and of the protocol itself: progress, trace context, what belongs to one exchange. */
const callMeta = /^(?:progressToken|traceparent|tracestate|baggage|io\.modelcontextprotocol\/.*)$/s;

/** Without what belongs to the call that made it. */
export function withoutCallMeta(result: Fields, meta: object): Fields {
  if (result["_meta"] === undefined) return result;
  const { _meta, ...rest } = result;
  const kept = Object.entries(fields(_meta)).filter(
    ([name]) => !callMeta.test(name) && !Object.hasOwn(meta, name),
  );
  return kept.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(kept) };
}

const required: Readonly<Record<string, readonly string[]>> = {
  text: ["text"],
  image: ["data", "mimeType"],
  audio: ["data", "mimeType"],
  resource_link: ["uri", "name"],
};

/** The SDK refuses a result with a malformed block: stored, it would be an error that repeats itself. */
function isBlock(block: unknown): boolean {
  const { type, resource, ...rest } = fields(block);
  if (type === "resource") return isContentItem(resource);
  if (typeof type !== "string" || !Object.hasOwn(required, type)) return false;
  return (required[type] ?? []).every((name) => typeof rest[name] === "string");
}

/** Contents of a resource. */
export function isContentItem(item: unknown): boolean {
  const { uri, text, blob } = fields(item);
  return typeof uri === "string" && (typeof text === "string" || typeof blob === "string");
}
