import type { Timers } from "./timers.ts";

/** An older value that a reader may have instead of waiting on, or instead of an error. */
export interface StandIn {
  /** After how long to ask for it while the compute goes on; `undefined` for not before it fails. */
  readonly softTimeoutMs: number | undefined;
  /** `undefined` when there is none any more. A promise never rejects. */
  offer(
    reason: "timeout" | "error",
    error?: unknown,
  ): Offer | undefined | Promise<Offer | undefined>;
}

export interface Offer {
  /** Called when the reader takes it: it may have its result, or be gone, when the offer comes. */
  accept(): unknown;
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
    const take = (offer: Offer | undefined): boolean => {
      if (offer === undefined || !leave()) return false;
      resolve(offer.accept());
      return true;
    };
    const late = (): void => {
      timer = undefined;
      const offer = standIn?.offer("timeout");
      if (offer instanceof Promise) void offer.then(take);
      else take(offer);
    };
    const succeed = (value: unknown): void => {
      if (leave()) resolve(value);
    };
    const fail = (cause: unknown): void => {
      const refuse = (): void => {
        if (leave()) reject(cause);
      };
      const offer = waits ? standIn?.offer("error", cause) : undefined;
      if (offer instanceof Promise) void offer.then((one) => take(one) || refuse());
      else if (!take(offer)) refuse();
    };
    signal?.addEventListener("abort", abort, { once: true });
    if (standIn?.softTimeoutMs !== undefined) timer = timers.set(late, standIn.softTimeoutMs);
    outcome.then(succeed, fail);
  });
}
