/** Calls `run`; what it throws becomes a process warning, never an error of the pool. */
export function safely(what: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.emitWarning(`${what} threw: ${reason}`, {
      type: "HttpPoolWarning",
      code: "HTTP_POOL_LISTENER",
    });
  }
}
