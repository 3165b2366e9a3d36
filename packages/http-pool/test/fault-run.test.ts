import { expect, test } from "vitest";
import { runFaults } from "../bench/fault-run.ts";

test("a mixed fault run ends with every request accounted for, none stuck and no socket left", async () => {
  const report = await runFaults({ isOver: (answered) => answered >= 1500, seed: 7 });
  const { answered, aborted, failed, requests } = report;
  const told = Object.values(failed).reduce((sum, count) => sum + count, 0);
  expect(report).toMatchObject({
    untyped: {},
    stuck: 0,
    executedTwice: 0,
    leakedSockets: 0,
    servedAfterwards: true,
    ok: true,
  });
  expect(answered + aborted + told).toBe(requests);
  expect(Object.keys(failed).length).toBeGreaterThan(4);
});
