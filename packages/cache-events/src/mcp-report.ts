/** Where errors go that no caller waits for, unless there is an `onError`. */
export function reportError(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  process.emitWarning(reason, { type: "CacheEventsWarning", code: "CACHE_MCP" });
}
