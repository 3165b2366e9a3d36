const namesOfHeaders = ["retry-after", "Retry-After"];

/**
 * How long a server asks to wait before the next attempt, in ms: `retryAfterMs` of the error, or a `Retry-After` header
 * (seconds or an HTTP date, RFC 9110) in its `headers` or in those of its `response`. `undefined` if it does not say.
 */
export function retryAfterMsOf(
  error: unknown,
  wallNow: () => number = Date.now,
): number | undefined {
  try {
    const { retryAfterMs, headers, response } = Object(error) as Readonly<Record<string, unknown>>;
    if (typeof retryAfterMs === "number" && retryAfterMs >= 0) return retryAfterMs;
    const value =
      headerOf(headers) ?? headerOf((Object(response) as { readonly headers?: unknown }).headers);
    return value === undefined ? undefined : parse(value, wallNow);
  } catch {
    // An error whose properties throw says nothing.
    return undefined;
  }
}

function headerOf(headers: unknown): string | undefined {
  const { get } = Object(headers) as { readonly get?: unknown };
  for (const name of namesOfHeaders) {
    const value: unknown =
      typeof get === "function"
        ? get.call(headers, name)
        : (Object(headers) as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "string" || typeof value === "number") return String(value).trim();
  }
  return undefined;
}

function parse(value: string, wallNow: () => number): number | undefined {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(at - wallNow(), 0);
}
