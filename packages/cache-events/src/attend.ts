import type { Timers } from "./timers.ts";

/** An older value that a reader may have instead of waiting on, or instead of an error. */
export interface StandIn {
  /** After how long to ask for it while the compute goes on; `undefined` for not before it fails. */
  readonly softTimeoutMs: number | undefined;
  /** `undefined` when there is none any more. */
  offer(reason: "timeout" | "error", error?: unknown): { readonly value: unknown } | undefined;
}

export interface Attendance {
  readonly timers: Timers;
  readonly signal: AbortSignal | undefined;
  readonly standIn: StandIn | undefined;
  /** The reader does not wait any more, for whatever reason. */
  readonly left: () => void;
  /** The reader gave up. After a stand-in it did not: the compute is to go on. */
  readonly aborted: (reason: unknown) => void;
}

/** One reader's wait for an outcome that others may share. It leaves neither a timer nor a listener behind. */
export function attend(
  outcome: Promise<unknown>,
  { timers, signal, standIn, left, aborted }: Attendance,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let waits = true;
    let timer: unknown;
    const leave = (): boolean => {
      if (!waits) return false;
      waits = false;
      signal?.removeEventListener("abort", abort);
      if (timer !== undefined) timers.clear(timer);
      left();
      return true;
    };
    const abort = (): void => {
      if (!leave()) return;
      reject(signal?.reason as Error);
      aborted(signal?.reason);
    };
    const late = (): void => {
      timer = undefined;
      const offer = waits ? standIn?.offer("timeout") : undefined;
      if (offer !== undefined && leave()) resolve(offer.value);
    };
    const succeed = (value: unknown): void => {
      if (leave()) resolve(value);
    };
    const fail = (error: unknown): void => {
      if (!leave()) return;
      const offer = standIn?.offer("error", error);
      if (offer === undefined) reject(error);
      else resolve(offer.value);
    };
    signal?.addEventListener("abort", abort, { once: true });
    if (standIn?.softTimeoutMs !== undefined) timer = timers.set(late, standIn.softTimeoutMs);
    outcome.then(succeed, fail);
  });
}
