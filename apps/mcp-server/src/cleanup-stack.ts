/** Disposes what was handed to it, last first (Node 22 has no AsyncDisposableStack). */
export class CleanupStack implements AsyncDisposable {
  readonly #resources: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#resources.push(resource);
    return resource;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let next = this.#resources.pop(); next !== undefined; next = this.#resources.pop())
      await next[Symbol.asyncDispose]();
  }
}
