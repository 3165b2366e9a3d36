/** Calls `emit`; a listener that throws becomes a process warning, never an error of the emitter. */
export function safely(emit: () => void): void {
  try {
    emit();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.emitWarning(`a listener threw: ${reason}`, {
      type: "MetricsWarning",
      code: "METRICS_LISTENER",
    });
  }
}
