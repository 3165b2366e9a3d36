import { McpAccelError } from "../errors.ts";

/** Bytes of a value as JSON. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/**
 * For a write, asked before anything is durable: an outcome that cannot be told must not happen.
 * @throws McpAccelError `RESULT_TOO_LARGE`
 */
export function mustFit(
  result: object,
  { tool, maxBytes, advice }: { tool: string; maxBytes: number; advice: string },
): void {
  const bytes = jsonBytes(result);
  if (bytes > maxBytes) throw resultTooLarge(tool, `${bytes} bytes`, maxBytes, advice);
}

export function resultTooLarge(
  tool: string,
  size: string,
  maxBytes: number,
  advice: string,
): McpAccelError {
  return new McpAccelError(
    "RESULT_TOO_LARGE",
    `${tool} changed nothing: its result would take ${size} and may have ${Math.max(0, maxBytes)}. ${advice}, or raise guard.streamMaxMemoryBytes.`,
  );
}
