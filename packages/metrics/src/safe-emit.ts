/** Calls `emit`; a listener that throws becomes a process warning, never an error of the emitter. */
export function safely(emit: () => void): void {
  try {
    emit();
  } catch (error) {
    process.emitWarning(`a listener threw: ${reasonOf(error)}`, {
      type: "MetricsWarning",
      code: "METRICS_LISTENER",
    });
  }
}

/** For a promise where a plain value is expected: that is reported, and must not end the process as well. */
export function ignoreRejection(value: unknown): void {
  if (value instanceof Promise) value.catch(() => undefined);
}

function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return "something that has no text";
  }
}
