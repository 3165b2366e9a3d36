// Lets every suite resolve workspace packages to their sources, so that tests need
// no build; each project's vitest.config.ts is this.
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@mcp-accel/source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["@mcp-accel/source", "node", "import", "default"] } },
  test: { include: ["test/**/*.test.ts"] },
});
