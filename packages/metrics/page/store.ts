import type { DashboardFrame, DashboardHistory } from "../src/dashboard-protocol.ts";

export type Column = (number | null)[];

/** The last frames as columns, of a bounded length: what the charts draw. */
export class Store {
  /** Seconds since the epoch, as uPlot wants them. */
  readonly times: number[] = [];
  readonly #columns = new Map<string, Column>();
  #length = 900;
  frame: DashboardFrame | undefined;

  load(history: DashboardHistory): void {
    this.#length = history.length;
    this.times.splice(0, this.times.length, ...history.atMs.map((ms) => ms / 1000));
    this.#columns.clear();
    for (const [key, values] of Object.entries(history.series)) this.#columns.set(key, [...values]);
    this.frame = history.last ?? undefined;
  }

  /** False for a frame that is not newer than the last one. */
  push(frame: DashboardFrame): boolean {
    const last = this.times.at(-1);
    if (last !== undefined && frame.atMs / 1000 <= last) return false;
    for (const key of Object.keys(frame.values)) {
      if (!this.#columns.has(key))
        this.#columns.set(
          key,
          this.times.map(() => null),
        );
    }
    this.times.push(frame.atMs / 1000);
    const excess = this.times.length > this.#length;
    if (excess) this.times.shift();
    for (const [key, column] of this.#columns) {
      column.push(frame.values[key] ?? null);
      if (excess) column.shift();
      if (excess && column.every((value) => value === null)) this.#columns.delete(key);
    }
    this.frame = frame;
    return true;
  }

  column(key: string): Column | undefined {
    return this.#columns.get(key);
  }

  /** The labels under which a measure has values, in a fixed order. */
  labels(measure: string): readonly string[] {
    const prefix = `${measure}|`;
    const keys = [...this.#columns.keys()].filter((key) => key.startsWith(prefix));
    return keys.map((key) => key.slice(prefix.length)).toSorted();
  }

  get points(): number {
    let total = this.times.length;
    for (const column of this.#columns.values()) total += column.length;
    return total;
  }

  now(key: string): number | undefined {
    return this.frame?.values[key];
  }
}
