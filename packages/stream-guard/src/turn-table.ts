/** Those who share turns, in the order in which they take them. */
export interface Turn<T> {
  readonly key: unknown;
  readonly accounts: ReadonlySet<T>;
}

interface OpenTurn<T> {
  readonly key: unknown;
  readonly accounts: Set<T>;
  /** Waits for room of its own, and is passed over until some comes free. */
  parked: boolean;
}

/** Whose turn it is: keys one after the other, and the accounts of each one after the other. */
export class TurnTable<T> {
  readonly #byKey = new Map<unknown, OpenTurn<T>>();
  readonly #order = new Set<OpenTurn<T>>();

  /** True when somebody who shares `key`, or whoever is next in line, waits. */
  mustWait(key: unknown): boolean {
    return this.#order.size > 0 || this.#byKey.has(key);
  }

  /** Puts `account` last among those of `key`; one that is there already keeps its place. */
  add(key: unknown, account: T): void {
    let turn = this.#byKey.get(key);
    if (turn === undefined) {
      turn = { key, accounts: new Set(), parked: false };
      this.#byKey.set(key, turn);
      this.#order.add(turn);
    }
    turn.accounts.add(account);
  }

  delete(key: unknown, account: T): void {
    const turn = this.#byKey.get(key);
    if (turn === undefined || !turn.accounts.delete(account) || turn.accounts.size > 0) return;
    this.#byKey.delete(key);
    this.#order.delete(turn);
  }

  endTurn(key: unknown): void {
    const turn = this.#byKey.get(key);
    if (turn === undefined || !this.#order.delete(turn)) return;
    this.#order.add(turn);
  }

  park({ key }: Turn<T>): void {
    const turn = this.#byKey.get(key);
    if (turn === undefined) return;
    turn.parked = true;
    this.#order.delete(turn);
  }

  unpark(key: unknown): void {
    const turn = this.#byKey.get(key);
    if (turn === undefined || !turn.parked) return;
    turn.parked = false;
    this.#order.add(turn);
  }

  [Symbol.iterator](): IterableIterator<Turn<T>> {
    return this.#order.values();
  }
}
