import { PoolDispatcher } from "./pool-dispatcher.ts";

/** Who called `dispatch` or `fetch`, one line a frame. */
export function callStack(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, PoolDispatcher.prototype.dispatch);
  return (holder.stack ?? "").split("\n").slice(1).join("\n");
}
