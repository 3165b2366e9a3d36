import type { Fields } from "./mcp-shapes.ts";
import { fields, innerOf } from "./mcp-shapes.ts";

/** What a result says about how long and for whom clients may keep it. */
export interface CacheHint {
  readonly ttlMs?: number;
  readonly cacheScope?: "public" | "private";
}

/** Where version 2 of the SDK keeps what was configured for a resource or a method until the result is sent. */
const configured = "modelcontextprotocol.resultCacheHintFallback";

/** What the server's author said: in the result itself, else in the configuration. */
export function authorsHint(result: Fields): CacheHint {
  const symbol = Object.getOwnPropertySymbols(result).find(
    ({ description }) => description === configured,
  );
  const marks = result as Readonly<Record<symbol, unknown>>;
  const fallback = fields(symbol === undefined ? undefined : marks[symbol]);
  const { ttlMs, cacheScope } = result;
  const ttl = [ttlMs, fallback["ttlMs"]].find(isTtl);
  const scope = [cacheScope, fallback["cacheScope"]].find(isScope);
  return {
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
    ...(scope === undefined ? {} : { cacheScope: scope }),
  };
}

/**
 * The hint of a result that has been kept for `ageMs` of the `ttlMs` for which it is good: what remains, private unless public,
 * but never more than what the author said, counted from then.
 */
export function remainingHint(
  author: CacheHint,
  ageMs: number,
  ttlMs: number,
  isPublic: boolean,
): Required<CacheHint> {
  const promisedMs = Math.min(author.ttlMs ?? ttlMs, ttlMs);
  return {
    ttlMs: Math.max(0, Math.floor(promisedMs - Math.max(0, ageMs))),
    cacheScope: author.cacheScope ?? (isPublic ? "public" : "private"),
  };
}

/** Only protocol 2026-07-28 and later have hints; an instance of version 2 serves one protocol. */
export function hasHints(server: object): boolean {
  const inner = innerOf(server) as { getNegotiatedProtocolVersion?: () => string | undefined };
  if (typeof inner.getNegotiatedProtocolVersion !== "function") return false;
  return (inner.getNegotiatedProtocolVersion() ?? "") >= "2026-07-28";
}

function isTtl(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isScope(value: unknown): value is "public" | "private" {
  return value === "public" || value === "private";
}
