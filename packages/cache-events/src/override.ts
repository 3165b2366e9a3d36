type Method = (this: never, ...args: never) => unknown;
type Make = (original: never) => unknown;

interface Layer {
  readonly make: Make;
  readonly made: unknown;
}

/** What has been put over one method of one object, lowest first. */
interface Overrides {
  readonly own: PropertyDescriptor | undefined;
  readonly original: unknown;
  readonly layers: Layer[];
}

const overrides = new WeakMap<object, Map<string, Overrides>>();

/**
 * Puts `make(original)` in the place of a method of `target`. The function returned takes it away again, exactly and in any order
 * with others put there so; when something else has been put over it, it stays, and has to stand aside by itself. `make` is called
 * again when what lies beneath it changes.
 */
export function override<M extends Method>(
  target: object,
  name: string,
  make: (original: M) => M,
): () => void {
  const holder = target as Record<string, unknown>;
  const present = overrides.get(target)?.get(name);
  const on =
    present !== undefined && top(present) === holder[name] ? present : startingAt(target, name);
  const made = make(holder[name] as M);
  on.layers.push({ make, made });
  holder[name] = made;
  return () => remove(target, name, on, make);
}

function startingAt(target: object, name: string): Overrides {
  const original = (target as Record<string, unknown>)[name];
  const own = Object.getOwnPropertyDescriptor(target, name);
  const on: Overrides = { own, original, layers: [] };
  const all = overrides.get(target) ?? new Map<string, Overrides>();
  overrides.set(target, all.set(name, on));
  return on;
}

function remove(target: object, name: string, on: Overrides, make: Make): void {
  const index = on.layers.findIndex((layer) => layer.make === make);
  const holder = target as Record<string, unknown>;
  if (index === -1 || holder[name] !== top(on)) return;
  for (const { make: above } of on.layers.splice(index).slice(1))
    on.layers.push({ make: above, made: above(top(on) as never) });
  if (on.layers.length > 0) {
    holder[name] = top(on);
    return;
  }
  overrides.get(target)?.delete(name);
  if (on.own === undefined) delete holder[name];
  else Object.defineProperty(target, name, on.own);
}

function top(on: Overrides): unknown {
  return on.layers.at(-1)?.made ?? on.original;
}
