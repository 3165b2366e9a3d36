/** Who wants to know when a signal aborts. */
export interface SignalWatcher {
  onAbort(signal: AbortSignal): void;
}

const watches = new WeakMap<AbortSignal, SignalWatch>();

/** One listener on each signal, however many items share it: an `EventTarget` looks through all of its listeners for each one. */
class SignalWatch {
  readonly #signal: AbortSignal;
  readonly #watchers = new Set<SignalWatcher>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this, { once: true });
  }

  add(watcher: SignalWatcher): void {
    this.#watchers.add(watcher);
  }

  delete(watcher: SignalWatcher): void {
    if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return;
    this.#signal.removeEventListener("abort", this);
    watches.delete(this.#signal);
  }

  handleEvent(): void {
    watches.delete(this.#signal);
    for (const watcher of this.#watchers) watcher.onAbort(this.#signal);
  }
}

/** Tells the watcher once, unless it is taken away before. */
export function watchSignal(signal: AbortSignal, watcher: SignalWatcher): void {
  let watch = watches.get(signal);
  if (watch === undefined) {
    watch = new SignalWatch(signal);
    watches.set(signal, watch);
  }
  watch.add(watcher);
}

export function unwatchSignal(signal: AbortSignal, watcher: SignalWatcher): void {
  watches.get(signal)?.delete(watcher);
}
