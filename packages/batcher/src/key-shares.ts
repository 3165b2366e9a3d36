interface Held {
  items: number;
  bytes: number;
}

/** What each key holds of the queue. */
export class KeyShares {
  readonly #held = new Map<string, Held>();

  add(key: string, bytes: number): void {
    const held = this.#held.get(key);
    if (held === undefined) this.#held.set(key, { items: 1, bytes });
    else {
      held.items += 1;
      held.bytes += bytes;
    }
  }

  remove(key: string, bytes: number): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.items -= 1;
    held.bytes -= bytes;
    if (held.items === 0) this.#held.delete(key);
  }

  /**
   * Whether one more of that key leaves room for others: it may hold a share of what they leave, so that however many keys take
   * all they may, something is left for one that has nothing yet. After the "dynamic thresholds" of Choudhury and Hahne, 1998.
   */
  admits(key: string, bytes: number, share: number, queued: Held, limits: Held): boolean {
    const held = this.#held.get(key);
    if (held === undefined || share === 1) return true;
    const items = share * (limits.items - queued.items + held.items);
    const most = share * (limits.bytes - queued.bytes + held.bytes);
    return held.items + 1 <= items && held.bytes + bytes <= most;
  }
}
