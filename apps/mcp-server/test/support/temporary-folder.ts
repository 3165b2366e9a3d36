import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own, removed by the disposer. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "mcp-accel-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
