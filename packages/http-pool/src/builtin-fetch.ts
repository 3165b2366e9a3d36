const DISPATCHERS = ["undici.globalDispatcher.1", "undici.globalDispatcher.2"].map((name) => {
  return Symbol.for(name);
});

/** Reading the lazy global loads the built-in fetch, which puts its own dispatcher in place first. */
export const GlobalResponse: typeof Response = globalThis.Response;

const before = DISPATCHERS.map((symbol) => Reflect.get(globalThis, symbol) as unknown);

/**
 * Undoes what importing undici does to the process: it may install its own agent under the symbol
 * from which the built-in fetch reads its dispatcher.
 */
export function restoreBuiltinFetch(): void {
  for (const [index, symbol] of DISPATCHERS.entries()) {
    const dispatcher = before[index];
    if (dispatcher !== undefined && Reflect.get(globalThis, symbol) !== dispatcher)
      Reflect.set(globalThis, symbol, dispatcher);
  }
}
