import type { PoolDispatchOptions } from "./prepare-dispatch.ts";

type Headers = PoolDispatchOptions["headers"];

/** One value of a header in any of the forms that undici takes; `name` in lower case. */
export function headerOf(headers: Headers, name: string): string | undefined {
  for (const [key, value] of pairsOf(headers)) {
    if (key.toLowerCase() !== name) continue;
    return typeof value === "string" ? value : value?.[0];
  }
  return undefined;
}

/** The same headers with one more, unless there is one of that name. */
export function withHeader(headers: Headers, name: string, value: string): Headers {
  if (headerOf(headers, name) !== undefined) return headers;
  const pairs = [...pairsOf(headers), [name, value] as const];
  // A list keeps a header that comes more than once.
  return pairs.flatMap(([key, values]) =>
    (Array.isArray(values) ? values : [values ?? ""]).flatMap((one) => [key, one as string]),
  );
}

type Pair = readonly [string, string | readonly string[] | undefined];

function* pairsOf(headers: Headers): Generator<Pair, void> {
  if (headers === undefined || headers === null) return;
  if (!(Symbol.iterator in headers)) {
    yield* Object.entries(headers) as Iterable<Pair>;
    return;
  }
  if (Array.isArray(headers) && typeof headers[0] === "string") {
    for (let index = 0; index + 1 < headers.length; index += 2)
      yield [headers[index] as string, headers[index + 1] as string];
    return;
  }
  yield* headers as Iterable<Pair>;
}
