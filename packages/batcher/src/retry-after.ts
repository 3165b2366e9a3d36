/** An error may hold the server's answer in its `cause`, and that in its own; so deep and no deeper. */
const deepestCause = 3;

/**
 * How long a server asks to wait before the next attempt, in ms: `retryAfterMs` of the error, or a `Retry-After-Ms` or `Retry-After`
 * header (seconds or an HTTP date, RFC 9110) in its `headers`, in those of its `response`, or of its `cause`. `undefined` if it does
 * not say.
 */
export function retryAfterMsOf(
  error: unknown,
  wallNow: () => number = Date.now,
): number | undefined {
  try {
    let cause = error;
    for (let depth = 0; depth <= deepestCause && isObject(cause); depth++) {
      const asked = askedBy(cause, wallNow);
      if (asked !== undefined) return asked;
      ({ cause } = cause as { readonly cause?: unknown });
    }
  } catch {
    // An error whose properties throw says nothing.
  }
  return undefined;
}

function askedBy(error: object, wallNow: () => number): number | undefined {
  const { retryAfterMs, headers, response } = error as Readonly<Record<string, unknown>>;
  if (typeof retryAfterMs === "number" && retryAfterMs >= 0) return retryAfterMs;
  const own = typeof retryAfterMs === "string" ? milliseconds(retryAfterMs) : undefined;
  if (own !== undefined) return own;
  for (const each of [headers, (Object(response) as { readonly headers?: unknown }).headers]) {
    const inMs = headerOf(each, "retry-after-ms");
    const asked = inMs === undefined ? undefined : milliseconds(inMs);
    if (asked !== undefined) return asked;
    const value = headerOf(each, "retry-after");
    if (value !== undefined) return parse(value, wallNow);
  }
  return undefined;
}

/** From `Headers`, a `Map`, or an object in any case of letters. */
function headerOf(headers: unknown, name: string): string | undefined {
  if (!isObject(headers)) return undefined;
  const { get } = headers as { readonly get?: unknown };
  if (typeof get === "function") {
    const direct = textOf(get.call(headers, name));
    if (direct !== undefined || !(headers instanceof Map)) return direct;
  }
  const entries = headers instanceof Map ? headers : Object.entries(headers);
  for (const [key, value] of entries as Iterable<[unknown, unknown]>)
    if (typeof key === "string" && key.toLowerCase() === name) return textOf(value);
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The first of several values. */
function textOf(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" || typeof first === "number" ? `${first}`.trim() : undefined;
}

function milliseconds(text: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}

function parse(value: string, wallNow: () => number): number | undefined {
  const seconds = milliseconds(value);
  if (seconds !== undefined) return seconds * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(at - wallNow(), 0);
}
