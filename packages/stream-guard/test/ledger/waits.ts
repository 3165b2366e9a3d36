import type { StreamGuard, StreamingSession } from "@mcp-accel/stream-guard";
import type { Books } from "./books.ts";
import type { Random } from "./random.ts";
import type { Settings } from "./settings.ts";

interface Wait {
  readonly session: StreamingSession;
  readonly bytes: number;
  readonly controller: AbortController;
}

/** The reservations that wait, in their order, and what must be true of them. */
export class Waits {
  readonly #books: Books;
  readonly #settings: Settings;
  readonly #waiting = new Set<Wait>();
  #outOfTurn: string | undefined;

  constructor(books: Books, settings: Settings) {
    this.#books = books;
    this.#settings = settings;
  }

  get size(): number {
    return this.#waiting.size;
  }

  of(session: StreamingSession): readonly Wait[] {
    return [...this.#waiting].filter((wait) => wait.session === session);
  }

  add(
    wait: Wait,
    promise: Promise<void>,
    onError: (error: unknown) => void,
    onGrant: () => void,
  ): void {
    this.#waiting.add(wait);
    promise.then(
      () => {
        if (this.of(wait.session)[0] !== wait)
          this.#outOfTurn = `session ${wait.session.id} was served out of turn`;
        this.#waiting.delete(wait);
        this.#books.add(wait.session, wait.bytes);
        return onGrant();
      },
      (error: unknown) => {
        this.#waiting.delete(wait);
        try {
          onError(error);
        } catch {
          this.#outOfTurn = `a reservation ended with ${String(error)}`;
        }
      },
    );
  }

  abort(random: Random): void {
    if (this.#waiting.size > 0) random.of([...this.#waiting]).controller.abort();
  }

  /** Somebody who could be served and has nobody before him must not be waiting. */
  mistakes(guard: StreamGuard): string | undefined {
    if (this.#outOfTurn !== undefined) return this.#outOfTurn;
    if (this.#settings.streams || this.#waiting.size === 0) return undefined;
    if (guard.stats().waiting !== this.#waiting.size)
      return `${guard.stats().waiting} wait, and not ${this.#waiting.size}`;
    const heads = [...new Set([...this.#waiting].map(({ session }) => session))].map((session) => {
      const [{ bytes }] = this.of(session) as [Wait];
      return { session, bytes, refusal: this.#refusal(session, bytes) };
    });
    if (heads.some(({ refusal }) => refusal === "guard")) return undefined;
    const own = new Set(
      heads
        .filter(({ refusal }) => refusal === "principal")
        .map(({ session }) => session.principal),
    );
    const idle = heads.find(
      ({ session, refusal }) =>
        refusal === undefined && (session.principal === undefined || !own.has(session.principal)),
    );
    if (idle === undefined) return undefined;
    return `session ${idle.session.id} waits for ${idle.bytes} bytes that are free`;
  }

  #refusal(session: StreamingSession, bytes: number): string | undefined {
    const newcomer = bytes > 0 && this.#books.isNewcomer(session, this.of(session).length);
    const scarce = newcomer && this.#books.share >= 0.9 ? "headroom" : undefined;
    return this.#books.refusal(session, bytes) ?? scarce;
  }
}
