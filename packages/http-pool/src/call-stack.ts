import type { Dispatcher } from "undici";

/** Who called the dispatcher, one line a frame. */
export function callStack(dispatcher: Dispatcher): string {
  const holder: { stack?: string } = {};
  const above: unknown = Reflect.get(dispatcher, "dispatch");
  Error.captureStackTrace(holder, above as () => void);
  return (holder.stack ?? "").split("\n").slice(1).join("\n");
}
