export interface FifoNode<T extends FifoNode<T>> {
  readonly bytes: number;
  list: FifoList<T> | undefined;
  newer: T | undefined;
  older: T | undefined;
}

/** A queue whose members can also leave from the middle, and that knows its length and bytes. */
export class FifoList<T extends FifoNode<T>> {
  #newest: T | undefined;
  #oldest: T | undefined;
  #length = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(node: T): void {
    node.list = this;
    node.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
    this.#length++;
    this.#bytes += node.bytes;
  }

  shift(): T | undefined {
    const node = this.#oldest;
    if (node !== undefined) this.remove(node);
    return node;
  }

  remove(node: T): void {
    const { newer, older } = node;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    node.list = undefined;
    node.newer = undefined;
    node.older = undefined;
    this.#length--;
    this.#bytes -= node.bytes;
  }
}
