import type { Dispatcher } from "undici";
import { NotWrittenError } from "./connection.ts";
import type { Exchange } from "./exchange.ts";

/** A handler that has a say in whether a request that was written is sent once more. */
export interface ReplayAware extends Dispatcher.DispatchHandler {
  mayReplay(): boolean;
}

/** A request that was not written can go to another connection, but not for ever. */
const MAX_ATTEMPTS = 3;
const SOCKET_ERRORS = new Set(["UND_ERR_SOCKET", "ECONNRESET", "ECONNABORTED", "EPIPE"]);

/**
 * A request that was not written can always be sent again. One that was: once, if its connection was used
 * or idle before, nothing of a response came, and a second execution does no harm.
 */
export function mayReplay(exchange: Exchange, error: Error): boolean {
  // A request of the pool itself was meant for this very connection.
  if (exchange.lane === "probe") return false;
  if (error instanceof NotWrittenError) return exchange.attempts < MAX_ATTEMPTS;
  const { responded, replayed, reused, rested, started } = exchange;
  if (!started || !(reused || rested) || responded || replayed || !exchange.replayable)
    return false;
  return "code" in error && SOCKET_ERRORS.has(error.code as string);
}
