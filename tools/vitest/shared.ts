// Lets every suite resolve workspace packages to their sources, so that tests need
// no build; each project's vitest.config.ts is this.
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@mcp-accel/source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["@mcp-accel/source", "node", "import", "default"] } },
  // A limit for what hangs, not a claim about speed: a busy machine starts processes slowly.
  test: { include: ["test/**/*.test.ts"], testTimeout: 30_000 },
});
