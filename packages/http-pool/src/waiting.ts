/** How long the process goes on before it is asked again whether anybody waits. */
const LINGER_MS = 100;

/** Where some may wait. */
export interface Waiting {
  readonly size: number;
}

const places = new Set<Waiting>();
let isListening = false;

/**
 * From now on, until `letProcessGo`, whoever waits there waits for a timer of the pool alone: those do not keep the
 * process, since most of them look after what is idle. Asked at the end of the process, so that it costs a request
 * nothing.
 */
export function keepProcess(place: Waiting): void {
  places.add(place);
  if (isListening) return;
  isListening = true;
  process.on("beforeExit", () => {
    for (const { size } of places)
      if (size > 0) {
        setTimeout(() => undefined, LINGER_MS);
        return;
      }
  });
}

export function letProcessGo(place: Waiting): void {
  places.delete(place);
}

/** Those that wait for a timer; while there are any, the process does not end. */
export class WaitingSet<T> implements Waiting {
  readonly #waiting = new Set<T>();

  get size(): number {
    return this.#waiting.size;
  }

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
