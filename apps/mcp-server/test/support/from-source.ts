import { fileURLToPath } from "node:url";

/** Arguments of `node` that start the server from its sources. */
export const fromSource: readonly string[] = [
  "--conditions=@mcp-accel/source",
  fileURLToPath(new URL("../../src/main.ts", import.meta.url)),
];
