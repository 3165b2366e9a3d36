import { safely } from "./safe-emit.ts";

/** What is to be called when a signal aborts: one listener for all, so that leaving is O(1) and Node sees no leak. */
const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Has `callback` called once when `signal` aborts; not when it already has. The returned function stops
 * that, in O(1) also when a hundred thousand listen to the same signal.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return nothing;
  const callbacks = callbacksOf.get(signal) ?? follow(signal);
  const entry = (): void => {
    callback();
  };
  callbacks.add(entry);
  return () => {
    callbacks.delete(entry);
    if (callbacks.size === 0) unfollow(signal, callbacks);
  };
}

function follow(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  callbacksOf.set(signal, callbacks);
  signal.addEventListener("abort", onSignalAbort, { once: true });
  return callbacks;
}

function unfollow(signal: AbortSignal, callbacks: ReadonlySet<() => void>): void {
  if (callbacksOf.get(signal) !== callbacks) return;
  callbacksOf.delete(signal);
  signal.removeEventListener("abort", onSignalAbort);
}

function onSignalAbort({ target }: Event): void {
  const signal = target as AbortSignal;
  const callbacks = callbacksOf.get(signal);
  callbacksOf.delete(signal);
  for (const callback of callbacks ?? []) safely(callback);
}

function nothing(): void {}
