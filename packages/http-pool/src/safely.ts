import { textOf } from "./text-of.ts";

/** Calls `run`; what it throws, now or later, becomes a process warning, never an error of the pool. */
export function safely(what: string, run: () => unknown): void {
  try {
    const result = run();
    if (result instanceof Promise) result.catch((error: unknown) => warn(what, error));
  } catch (error) {
    warn(what, error);
  }
}

function warn(what: string, error: unknown): void {
  process.emitWarning(`${what} threw: ${textOf(error)}`, {
    type: "HttpPoolWarning",
    code: "HTTP_POOL_LISTENER",
  });
}
