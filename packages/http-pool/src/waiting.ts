/** Longest delay that a Node timer can carry, in milliseconds. */
const FOR_EVER_MS = 2 ** 31 - 1;

/**
 * Keeps the process while somebody waits for a timer alone: those of the pool do not, since most of them look
 * after what is idle.
 */
export class Hold {
  #timer: NodeJS.Timeout | undefined;

  keep(): void {
    this.#timer ??= setInterval(() => undefined, FOR_EVER_MS);
    this.#timer.ref();
  }

  release(): void {
    this.#timer?.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Those that wait for a timer; while there are any, the process does not end. */
export class WaitingSet<T> {
  readonly #waiting = new Set<T>();
  readonly #hold = new Hold();

  add(one: T): void {
    this.#waiting.add(one);
    this.#hold.keep();
  }

  delete(one: T): void {
    this.#waiting.delete(one);
    if (this.#waiting.size === 0) this.#hold[Symbol.dispose]();
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#waiting.values();
  }
}
