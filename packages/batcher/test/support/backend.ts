import type { ItemResult, ProcessorContext } from "../../src/index.ts";

export interface BackendCall<T, R> {
  readonly items: readonly T[];
  readonly context: ProcessorContext;
  readonly answer: (results: readonly ItemResult<R>[]) => void;
  readonly fail: (error: unknown) => void;
}

/** A processor whose every call is answered by the test. */
export class ManualBackend<T, R> {
  readonly calls: BackendCall<T, R>[] = [];
  running = 0;
  peak = 0;

  readonly process = (
    items: readonly T[],
    context: ProcessorContext,
  ): Promise<readonly ItemResult<R>[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly ItemResult<R>[]>();
    this.running += 1;
    this.peak = Math.max(this.peak, this.running);
    this.calls.push({
      items,
      context,
      answer: (results) => {
        this.running -= 1;
        resolve(results);
      },
      fail: (error) => {
        this.running -= 1;
        reject(error);
      },
    });
    return promise;
  };

  get sizes(): number[] {
    return this.calls.map(({ items }) => items.length);
  }

  call(index: number): BackendCall<T, R> {
    const call = this.calls[index];
    if (call === undefined) throw new Error(`there were only ${this.calls.length} calls`);
    return call;
  }
}

export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

export function httpError(status: number): Error {
  return Object.assign(new Error(`HTTP ${status}`), { status });
}

/** What became of a promise so far. */
export function watch(promise: Promise<unknown>): {
  state: "pending" | "fulfilled" | "rejected";
  reason?: unknown;
} {
  const seen: { state: "pending" | "fulfilled" | "rejected"; reason?: unknown } = {
    state: "pending",
  };
  promise.then(
    () => (seen.state = "fulfilled"),
    (reason: unknown) => {
      seen.state = "rejected";
      seen.reason = reason;
    },
  );
  return seen;
}
