import { createHash, timingSafeEqual } from "node:crypto";
import { AddressTable, callerOf } from "./endpoint-addresses.ts";
import { requireInteger } from "./endpoint-limits.ts";
import type { GuardRequest, Refusal } from "./endpoint-refusal.ts";
import { InvalidOptionError } from "./errors.ts";

export interface TokenLimits {
  /** Wrong tokens an address may send in a minute, 1 to 600. Default 10. */
  readonly failedTokensPerMinute?: number;
  /** Addresses whose wrong tokens are counted, and as many that sent the right one, 1 to 100,000. Default 10,000. */
  readonly maxAddresses?: number;
  /** Monotonic clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
}

interface Failures {
  readonly sinceMs: number;
  readonly count: number;
}

const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 1_024;
const WINDOW_MS = 60_000;
const KNOWN_MS = 3_600_000;

const UNAUTHORIZED: Refusal = {
  status: 401,
  reason: "token",
  message: "Send the token in the header: Authorization: Bearer <token>",
};

/** Refuses every request, since there is no token that it could carry. */
export function refuseAlways(): Refusal {
  return UNAUTHORIZED;
}

/**
 * Refuses requests without this token. Compares digests in constant time: neither bytes nor length leak.
 *
 * An address that sent too many wrong tokens is refused for the rest of the minute, the right token too, or guessing would go on.
 * One that sent the right token within the last hour goes on being served with it: whoever shares the address of a proxy with
 * the operator cannot lock the operator out. Throws `InvalidOptionError`.
 */
export function tokenCheck(
  option: string,
  token: string,
  limits: TokenLimits = {},
): (request: GuardRequest) => Refusal | undefined {
  const expected = digest(checkedToken(option, token));
  const { failedTokensPerMinute = 10, maxAddresses = 10_000 } = limits;
  const { now = () => performance.now() } = limits;
  requireInteger("guard.failedTokensPerMinute", failedTokensPerMinute, 1, 600);
  requireInteger("guard.maxAddresses", maxAddresses, 1, 100_000);
  if (typeof now !== "function") throw new InvalidOptionError("guard.now", "a function", now);
  const failed = new AddressTable<Failures>(maxAddresses);
  // Apart from the failures, so that no number of guessers makes an address of the operator forgotten.
  const known = new AddressTable<number>(maxAddresses);
  return ({ headers: { authorization }, socket }) => {
    // A request without a token is no guess: a page asks so before its operator has typed one.
    if (authorization === undefined) return UNAUTHORIZED;
    const nowMs = now();
    const caller = callerOf(socket?.remoteAddress);
    const past = failed.get(caller);
    const recent = past !== undefined && nowMs - past.sinceMs < WINDOW_MS ? past : undefined;
    const { sinceMs, count } = recent ?? { sinceMs: nowMs, count: 0 };
    const isSpent = count >= failedTokensPerMinute;
    const isKnown = nowMs - (known.get(caller) ?? -Infinity) < KNOWN_MS;
    if ((!isSpent || isKnown) && carries(authorization, expected)) {
      known.set(caller, nowMs);
      return undefined;
    }
    failed.set(caller, { sinceMs, count: isSpent ? count : count + 1 });
    return isSpent ? tooMany(sinceMs + WINDOW_MS - nowMs) : UNAUTHORIZED;
  };
}

function checkedToken(option: string, token: string): string {
  const usable =
    typeof token === "string" && /^[!-~]+$/.test(token) && token.length >= MIN_TOKEN_LENGTH;
  if (usable && token.length <= MAX_TOKEN_LENGTH) return token;
  const expected = `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} printable ASCII characters without spaces`;
  throw new InvalidOptionError(option, expected, typeof token === "string" ? "***" : token);
}

function carries(authorization: string, expected: Buffer): boolean {
  const given = /^Bearer ([!-~]+)$/i.exec(authorization)?.[1] ?? "";
  return timingSafeEqual(digest(given), expected);
}

function tooMany(remainingMs: number): Refusal {
  return {
    status: 429,
    reason: "token_rate",
    message: "Too many wrong tokens came from this address; try again later",
    retryAfterSeconds: Math.max(1, Math.ceil(remainingMs / 1_000)),
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
