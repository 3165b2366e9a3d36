import type { ServerResponse } from "node:http";

/** Responses that may be under way at once, and how long each may take to be read. */
export class ResponseSlots {
  readonly #max: number;
  readonly #timeoutMs: number;
  #taken = 0;

  constructor(max: number, timeoutMs: number) {
    this.#max = max;
    this.#timeoutMs = timeoutMs;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Holds a slot until the response is closed, which a reader that takes too long is made to see. */
  take(response: ServerResponse): boolean {
    if (this.#taken >= this.#max) return false;
    let timer: NodeJS.Timeout | undefined;
    response.once("close", () => {
      clearTimeout(timer);
      this.#taken -= 1;
    });
    this.#taken += 1;
    timer = setTimeout(() => response.destroy(), this.#timeoutMs).unref();
    return true;
  }
}
