/** How long the process goes on before it is asked again whether anybody waits. */
const LINGER_MS = 100;

const waiting = new Set<object>();
let isListening = false;

/**
 * From now on, until `letGo`, somebody waits for a timer of the pool alone: those do not keep the process, since
 * most of them look after what is idle. Asked at the end of the process, so that it costs a request nothing.
 */
export function keepProcess(one: object): void {
  waiting.add(one);
  if (isListening) return;
  isListening = true;
  process.on("beforeExit", () => {
    if (waiting.size > 0) setTimeout(() => undefined, LINGER_MS);
  });
}

export function letProcessGo(one: object): void {
  waiting.delete(one);
}

/** Those that wait for a timer; while there are any, the process does not end. */
export class WaitingSet<T> {
  readonly #waiting = new Set<T>();

  add(one: T): void {
    this.#waiting.add(one);
    keepProcess(this);
  }

  delete(one: T): void {
    this.#waiting.delete(one);
    if (this.#waiting.size === 0) letProcessGo(this);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#waiting.values();
  }
}
