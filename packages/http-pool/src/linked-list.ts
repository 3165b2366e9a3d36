/** An entry that knows its neighbours, so that it can leave the middle of a list in O(1). */
export class LinkedNode<T> {
  readonly value: T;
  next: LinkedNode<T> | undefined;
  previous: LinkedNode<T> | undefined;
  linked = false;

  constructor(value: T) {
    this.value = value;
  }
}

/** A doubly linked list; every operation is O(1), and a node is in one list at most. */
export class LinkedList<T> {
  #first: LinkedNode<T> | undefined;
  #last: LinkedNode<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  get last(): T | undefined {
    return this.#last?.value;
  }

  append(node: LinkedNode<T>): void {
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size += 1;
    node.linked = true;
  }

  prepend(node: LinkedNode<T>): void {
    node.next = this.#first;
    if (this.#first === undefined) this.#last = node;
    else this.#first.previous = node;
    this.#first = node;
    this.#size += 1;
    node.linked = true;
  }

  /** False when the node was not in a list. */
  remove(node: LinkedNode<T>): boolean {
    if (!node.linked) return false;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.next = undefined;
    node.previous = undefined;
    node.linked = false;
    this.#size -= 1;
    return true;
  }

  *reversed(): Generator<T, void> {
    for (let node = this.#last; node !== undefined; node = node.previous) yield node.value;
  }

  /** Takes all out, and returns them in their order. */
  clear(): T[] {
    const values = [...this];
    for (let node = this.#first; node !== undefined; node = this.#first) this.remove(node);
    return values;
  }

  *[Symbol.iterator](): Generator<T, void> {
    let node = this.#first;
    while (node !== undefined) {
      const { next, value } = node;
      yield value;
      node = next;
    }
  }
}
