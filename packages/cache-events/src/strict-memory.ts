import type { Failure } from "./freshness.ts";
import type { FenceValues } from "./strict-fences.ts";

/** What this process has done about one entry of the store. The object stands for the entry in the `Refresher`. */
export interface Mark {
  /** Tells the entry from the one that replaces it. */
  readonly expiresAt: number;
  /** It was refreshed ahead of time, or that failed. */
  renewed: boolean;
}

/** A failure that is an answer. It is remembered by this process alone: an error does not survive being written down. */
export interface Remembered {
  readonly failure: Failure;
  readonly fences: FenceValues;
  readonly expiresAt: number;
}

const maxMarks = 10_000;
const maxFailures = 1_000;

/** What a process knows of the keys of a shared store beside the store: of the last ones that it had to do with. */
export class StrictMemory {
  readonly #marks = new Map<string, Mark>();
  readonly #failures = new Map<string, Remembered>();

  mark(key: string, namespace: string, expiresAt: number): Mark {
    const id = idOf(key, namespace);
    const known = this.#marks.get(id);
    if (known?.expiresAt === expiresAt) return known;
    const mark = { expiresAt, renewed: false };
    keepLast(this.#marks, id, mark, maxMarks);
    return mark;
  }

  failure(key: string, namespace: string, now: number): Remembered | undefined {
    if (this.#failures.size === 0) return undefined;
    const id = idOf(key, namespace);
    const known = this.#failures.get(id);
    if (known === undefined || now < known.expiresAt) return known;
    this.#failures.delete(id);
    return undefined;
  }

  remember(key: string, namespace: string, failure: Remembered): void {
    keepLast(this.#failures, idOf(key, namespace), failure, maxFailures);
  }

  forget(key: string, namespace: string): void {
    if (this.#failures.size > 0) this.#failures.delete(idOf(key, namespace));
  }

  clear(): void {
    this.#marks.clear();
    this.#failures.clear();
  }
}

function idOf(key: string, namespace: string): string {
  return `${namespace.length}:${namespace}:${key}`;
}

function keepLast<T>(map: Map<string, T>, id: string, value: T, most: number): void {
  map.delete(id);
  map.set(id, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
