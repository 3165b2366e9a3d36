import { AsyncLocalStorage } from "node:async_hooks";
import { CacheCycleError } from "./errors.ts";

/** Which compute the code running now belongs to. Touched only where something is computed: a hit never asks. */
const current = new AsyncLocalStorage<LoadScope>();

/**
 * A compute under way, as far as cycles go: what it computes, and which other computes wait for it. It refers to no value, for
 * whatever a compute leaves behind (a timer, a socket) keeps its scope.
 */
export class LoadScope {
  readonly owner: object;
  readonly namespace: string;
  /** `undefined` for a batch: its keys have scopes of their own, which wait for it. */
  readonly key: string | undefined;
  #live = true;
  #waiting: Map<LoadScope, number> | undefined;

  constructor(owner: object, namespace: string, key: string | undefined) {
    this.owner = owner;
    this.namespace = namespace;
    this.key = key;
  }

  get live(): boolean {
    return this.#live;
  }

  /** The computes that wait for this one. */
  *waiting(): Generator<LoadScope> {
    for (const scope of this.#waiting?.keys() ?? []) if (scope.live) yield scope;
  }

  add(waiter: LoadScope): void {
    if (!this.#live) return;
    this.#waiting ??= new Map();
    this.#waiting.set(waiter, (this.#waiting.get(waiter) ?? 0) + 1);
  }

  remove(waiter: LoadScope): void {
    const count = this.#waiting?.get(waiter) ?? 0;
    if (count > 1) this.#waiting?.set(waiter, count - 1);
    else this.#waiting?.delete(waiter);
  }

  end(): void {
    this.#live = false;
    this.#waiting = undefined;
  }

  computesSameAs(other: LoadScope): boolean {
    if (this === other) return true;
    const { owner, namespace, key } = other;
    return (
      key !== undefined && this.key === key && this.namespace === namespace && this.owner === owner
    );
  }
}

export function currentScope(): LoadScope | undefined {
  const scope = current.getStore();
  return scope?.live === true ? scope : undefined;
}

export function inside<A, T>(scope: LoadScope | undefined, run: (given: A) => T, given: A): T {
  return scope === undefined ? run(given) : current.run(scope, run, given);
}

/**
 * Notes that the compute running now, if any, waits for `target`. The function returned ends that.
 *
 * @throws CacheCycleError when `target` waits for the compute running now, or computes a key that waits for it.
 */
export function waitFor(target: LoadScope): (() => void) | undefined {
  const waiter = currentScope();
  if (waiter === undefined) return undefined;
  const cycle = cycleFrom(waiter, target);
  if (cycle !== undefined) throw new CacheCycleError(cycle);
  target.add(waiter);
  return () => target.remove(waiter);
}

/** Walks from `waiter` to all that wait for it. The names of a way that leads back to `target`, or `undefined`. */
function cycleFrom(waiter: LoadScope, target: LoadScope): readonly string[] | undefined {
  const waitsOn = new Map<LoadScope, LoadScope | undefined>([[waiter, undefined]]);
  for (const scope of waitsOn.keys()) {
    if (scope.computesSameAs(target)) return [...namesFrom(scope, waitsOn), nameOf(scope)];
    for (const waiting of scope.waiting()) if (!waitsOn.has(waiting)) waitsOn.set(waiting, scope);
  }
  return undefined;
}

function namesFrom(
  start: LoadScope,
  waitsOn: ReadonlyMap<LoadScope, LoadScope | undefined>,
): readonly string[] {
  const names: string[] = [];
  for (let scope: LoadScope | undefined = start; scope !== undefined; scope = waitsOn.get(scope)) {
    if (scope.key !== undefined) names.push(nameOf(scope));
  }
  return names;
}

function nameOf({ namespace, key = "" }: LoadScope): string {
  return namespace === "" ? key : `${namespace}/${key}`;
}
