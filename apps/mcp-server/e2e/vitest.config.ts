import { defineConfig, mergeConfig } from "vitest/config";
import shared from "../../../tools/vitest/shared.ts";

/** Real processes and other people's clients: slower than `npm test`, and run by `npm run e2e`. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "e2e",
      root: import.meta.dirname,
      include: ["*.test.ts"],
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
);
