/** An entry that knows its neighbours, so that it can leave the middle of the queue in O(1). */
export class LinkedNode<T> {
  readonly value: T;
  next: LinkedNode<T> | undefined;
  previous: LinkedNode<T> | undefined;
  queued = false;

  constructor(value: T) {
    this.value = value;
  }
}

/** First in, first out; push and remove are O(1). */
export class LinkedQueue<T> {
  #first: LinkedNode<T> | undefined;
  #last: LinkedNode<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): LinkedNode<T> | undefined {
    return this.#first;
  }

  push(value: T): LinkedNode<T> {
    const node = new LinkedNode(value);
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    node.queued = true;
    this.#size += 1;
    return node;
  }

  /** False when the entry had already left. */
  remove(node: LinkedNode<T>): boolean {
    if (!node.queued) return false;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.next = undefined;
    node.previous = undefined;
    node.queued = false;
    this.#size -= 1;
    return true;
  }

  *[Symbol.iterator](): Generator<LinkedNode<T>> {
    let node = this.#first;
    while (node !== undefined) {
      const following = node.next;
      yield node;
      node = following;
    }
  }
}
