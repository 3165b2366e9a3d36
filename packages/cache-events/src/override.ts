type Method = (this: never, ...args: never) => unknown;

/**
 * Puts `make(original)` in the place of a method of `target`. The function returned takes it away again, exactly; when something
 * else has been put over it meanwhile, it stays, and has to stand aside by itself.
 */
export function override<M extends Method>(
  target: object,
  name: string,
  make: (original: M) => M,
): () => void {
  const holder = target as Record<string, M>;
  const own = Object.getOwnPropertyDescriptor(target, name);
  const replacement = make(holder[name] as M);
  holder[name] = replacement;
  return () => {
    if (holder[name] !== replacement) return;
    if (own === undefined) delete holder[name];
    else Object.defineProperty(target, name, own);
  };
}
