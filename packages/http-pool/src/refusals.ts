import { PoolExhaustedError, QueueTimeoutError, openError } from "./errors.ts";
import type { UpstreamErrorDetails } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Report } from "./report.ts";

const RETRY_AFTER_MS = 1000;

/** What an exchange is told that gets no connection. */
export class Refusals {
  readonly #upstream: string;
  readonly #queueTimeoutMs: number;
  readonly #report: Report;
  /** What `destroy` was given. */
  #destroyed: Error | undefined;

  constructor(
    upstream: string,
    { queueTimeoutMs }: Pick<ResolvedPoolOptions, "queueTimeoutMs">,
    report: Report,
  ) {
    this.#upstream = upstream;
    this.#queueTimeoutMs = queueTimeoutMs;
    this.#report = report;
  }

  /** From now on connections are given up for this reason, which is told as it is. */
  destroyed(error: Error): void {
    this.#destroyed = error;
  }

  reject(exchange: Exchange, why: string): void {
    this.#report.rejected();
    exchange.fail(new PoolExhaustedError(this.#upstream, why, RETRY_AFTER_MS));
  }

  expire(exchange: Exchange): void {
    this.#report.queueTimeout();
    exchange.fail(new QueueTimeoutError(this.#details(exchange), this.#queueTimeoutMs));
  }

  /** No connection could be opened, or the request not be written to any. */
  unavailable({ attempts }: Pick<Exchange, "attempts">, error: Error | undefined): Error {
    if (error !== undefined && error === this.#destroyed) return error;
    return openError(this.#details({ attempts: Math.max(1, attempts) }), error);
  }

  #details({ attempts }: Pick<Exchange, "attempts">): UpstreamErrorDetails {
    return { upstream: this.#upstream, attempts, retryAfterMs: RETRY_AFTER_MS };
  }
}
