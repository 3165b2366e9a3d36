// The hot paths whose instructions are counted against a baseline (`npm run gate`).
import { Metrics } from "@mcp-accel/metrics";

const TOOLS = Array.from({ length: 30 }, (_, index) => `tool_${index}`);
const metrics = new Metrics({ runtime: false, now: () => 1_000 });
metrics.operations.know(TOOLS);

export const operations = {
  "record an operation": {
    iterations: 50_000,
    run: (iterations: number): void => {
      for (let index = 0; index < iterations; index += 1)
        metrics.operations.record({
          method: "tools/call",
          tool: TOOLS[index % TOOLS.length] ?? "",
          transport: "http",
          protocolVersion: "2025-11-25",
          durationSeconds: 0.012,
        });
    },
  },
  "a scrape": {
    iterations: 40,
    run: async (iterations: number): Promise<void> => {
      for (let index = 0; index < iterations; index += 1) await metrics.exposition();
    },
  },
};
