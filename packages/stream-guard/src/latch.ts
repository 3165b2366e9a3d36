/** On from `onAt`, and off again only below `offBelow`. */
export class Latch {
  readonly #onAt: number;
  readonly #offBelow: number;
  #on = false;

  constructor(onAt: number, offBelow: number) {
    this.#onAt = onAt;
    this.#offBelow = offBelow;
  }

  get on(): boolean {
    return this.#on;
  }

  update(value: number): void {
    if (value >= this.#onAt) this.#on = true;
    else if (value < this.#offBelow) this.#on = false;
  }
}
