/**
 * Node 22 prints two lines about its SQLite being experimental whenever it is loaded. What they warn of, that its API
 * may change, is what the tests on every supported version are for.
 */
export function quietSqlite(): void {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: never[]) => {
    if (!String(warning).startsWith("SQLite is an experimental feature"))
      emitWarning(warning, ...rest);
  };
}
