type Report = (error: unknown) => void;

/** Where errors go that no caller waits for: to `onError`, else they become a process warning. Never throws. */
export function reporter(onError: Report = warn): Report {
  return (error) => {
    try {
      onError(error);
    } catch (thrown) {
      warn(thrown);
    }
  };
}

function warn(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  process.emitWarning(reason, { type: "CacheEventsWarning", code: "CACHE_MCP" });
}
