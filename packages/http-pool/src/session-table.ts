/** Which upstream holds a session; the session unused longest is forgotten first. */
export class SessionTable<T> {
  readonly #max: number;
  readonly #owners = new Map<string, T>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#owners.size;
  }

  get(id: string): T | undefined {
    const owner = this.#owners.get(id);
    if (owner !== undefined) this.set(id, owner);
    return owner;
  }

  set(id: string, owner: T): void {
    this.#owners.delete(id);
    this.#owners.set(id, owner);
    if (this.#owners.size <= this.#max) return;
    for (const oldest of this.#owners.keys()) {
      this.#owners.delete(oldest);
      return;
    }
  }

  delete(id: string): void {
    this.#owners.delete(id);
  }

  /** Forgets all sessions of one owner. */
  forget(owner: T): void {
    for (const [id, other] of this.#owners) if (other === owner) this.#owners.delete(id);
  }
}
