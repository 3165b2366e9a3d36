// What does the adaptive controller get through in virtual time, against the best static setting and against fixed 100 x 4?
import { AdaptiveController } from "@mcp-accel/batcher";
import { backends, bestStatic, fixed, simulate } from "../test/support/simulator.ts";
import { median, tidy } from "./measure.ts";
import { report } from "./report.ts";

report([
  {
    title: "The adaptive controller in virtual time (5 minutes, 3 seeds, up to 1000 x 32)",
    rows: adaptiveTable(),
  },
]);

function adaptiveTable() {
  const options = { durationMs: 300_000, noise: 0.2 };
  return backends.map((backend) => {
    const best = bestStatic(backend, 1_000, 32, { ...options, seed: 1, durationMs: 20_000 });
    const runs = [1, 2, 3].map((seed) => {
      const home = { size: 100, concurrency: 4, lingerMs: 0 };
      const limits = { maxBatchSize: 1_000, maxConcurrentBatches: 32, home };
      const goodput = simulate(new AdaptiveController(limits), backend, { ...options, seed });
      const unchanged = simulate(fixed(100, 4), backend, { ...options, seed });
      return {
        ofBest: goodput / best,
        ofFixed: goodput / unchanged,
        fixedOfBest: unchanged / best,
      };
    });
    return {
      backend: backend.name,
      "share of best static, worst": tidy(Math.min(...runs.map(({ ofBest }) => ofBest))),
      "against fixed 100 x 4, worst": tidy(Math.min(...runs.map(({ ofFixed }) => ofFixed))),
      "fixed 100 x 4, share of best": tidy(median(runs.map(({ fixedOfBest }) => fixedOfBest))),
    };
  });
}
