import { AsyncLocalStorage } from "node:async_hooks";

/** Deeper items share the lane of this depth. */
export const deepest = 8;

const contexts = new AsyncLocalStorage<CallContext>();
let running = 0;

/**
 * What a running call of a processor passes on to all it does: how deep in calls of each batcher it is. An item that is added
 * from inside a call gets a slot beside those that such calls may hold, or the call would wait for itself.
 */
export class CallContext {
  readonly #batcher: object;
  readonly #depth: number;
  /** How deep in calls of other batchers. */
  #others: Map<object, number> | undefined = undefined;
  #over = false;

  /** A call of `batcher` for items that were added in these contexts. */
  constructor(batcher: object, parents: Iterable<CallContext> = []) {
    let depth = 0;
    for (const parent of parents) {
      depth = Math.max(depth, parent.depthOf(batcher));
      this.#inherit(parent.#batcher, parent.#depth);
      for (const [other, deep] of parent.#others ?? []) this.#inherit(other, deep);
    }
    this.#batcher = batcher;
    this.#depth = Math.min(depth + 1, deepest);
  }

  /** The context of the call that we are in. Free of cost while nothing runs. */
  static current(): CallContext | undefined {
    if (running === 0) return undefined;
    const context = contexts.getStore();
    return context === undefined || context.#over ? undefined : context;
  }

  /** How deep an item that is added to this batcher in that context is; 0 outside its calls. */
  depthOf(batcher: object): number {
    return batcher === this.#batcher ? this.#depth : (this.#others?.get(batcher) ?? 0);
  }

  run<V>(call: () => V): V {
    running += 1;
    return contexts.run(this, call);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    running -= 1;
  }

  #inherit(batcher: object, depth: number): void {
    this.#others ??= new Map();
    this.#others.set(batcher, Math.max(depth, this.#others.get(batcher) ?? 0));
  }
}
