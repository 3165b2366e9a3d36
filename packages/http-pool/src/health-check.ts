import type { Dispatcher } from "undici";
import type { Connection } from "./connection.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Report } from "./report.ts";
import type { Slots } from "./slots.ts";

export interface HealthCheckResult {
  /** A connection was opened and, with `healthCheckPath`, answered with a status from 200 to 399. */
  readonly ok: boolean;
  readonly durationMs: number;
  readonly statusCode?: number;
  readonly error?: Error;
}

type Outcome = Omit<HealthCheckResult, "durationMs">;
type Settle = (outcome: Outcome) => void;
/** A request of the pool itself on a connection that it has chosen. */
export interface Probe {
  readonly connection: Connection;
  readonly options: Dispatcher.DispatchOptions;
  readonly handler: Dispatcher.DispatchHandler;
}

/** Checks over a connection of its own, so that a busy pool does not look ill, nor a dead upstream well. */
export class HealthChecker {
  readonly #options: ResolvedPoolOptions;
  readonly #slots: Slots;
  readonly #report: Report;
  readonly #request: (probe: Probe) => unknown;
  #checking: Promise<HealthCheckResult> | undefined;

  constructor(
    options: ResolvedPoolOptions,
    slots: Slots,
    report: Report,
    request: (probe: Probe) => unknown,
  ) {
    this.#options = options;
    this.#slots = slots;
    this.#report = report;
    this.#request = request;
  }

  /** One check at a time, shared by all who ask. */
  check(): Promise<HealthCheckResult> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #check(): Promise<HealthCheckResult> {
    const { now } = this.#options;
    const startedAt = now();
    const outcome = await new Promise<Outcome>((resolve) => this.#probe(resolve));
    const result = { ...outcome, durationMs: now() - startedAt };
    this.#report.healthCheck(result);
    return result;
  }

  #probe(resolve: Settle): void {
    const { healthCheckPath: path, healthCheckMethod: method, schedule } = this.#options;
    const { healthCheckTimeoutMs: timeoutMs } = this.#options;
    let opened: Connection | undefined;
    const settle = (outcome: Outcome): void => {
      cancelTimer();
      cancelConnect();
      if (opened !== undefined) this.#slots.retire(opened, "single");
      resolve(outcome);
    };
    const cancelTimer = schedule(() => {
      settle({ ok: false, error: new Error(`no answer within ${timeoutMs} ms`) });
    }, timeoutMs);
    const cancelConnect = this.#slots.connect("probe", (error, connection) => {
      opened = connection;
      if (error !== undefined || connection === undefined)
        settle({ ok: false, ...(error && { error }) });
      else if (path === undefined) settle({ ok: true });
      else
        this.#request({ connection, options: { method, path }, handler: answerTo(settle) });
    });
  }
}

function answerTo(settle: Settle): Dispatcher.DispatchHandler {
  let statusCode = 0;
  return {
    onResponseStart: (_controller, status) => {
      statusCode = status;
    },
    onResponseEnd: () => settle({ ok: statusCode >= 200 && statusCode < 400, statusCode }),
    onResponseError: (_controller, error) => settle({ ok: false, error }),
  };
}
