import { CacheError } from "../errors.ts";
import type { StaleRead } from "./judge.ts";

/** `CACHE_STALE_READ`: the cache returned what had been invalidated before the read began, or the value of another key. */
export class StaleReadError extends CacheError {
  readonly evidence: readonly StaleRead[];

  constructor(message: string, evidence: readonly StaleRead[]) {
    super("CACHE_STALE_READ", message);
    this.evidence = evidence;
  }
}

/** `CACHE_RACE`: the race itself could not be run: a worker failed, a limit of time was reached, or nothing was ever cached. */
export class RaceError extends CacheError {
  constructor(message: string, options?: ErrorOptions) {
    super("CACHE_RACE", message, options);
  }
}
