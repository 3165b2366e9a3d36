import { expect, test } from "vitest";
import { InvalidOptionError, Metrics, MetricsError } from "../src/index.ts";

test.each<[string, unknown, string]>([
  ["options", null, "options: expected an object, got null"],
  ["options", [], "options: expected an object, got an array of 0"],
  ["runtime", { runtime: "yes" }, 'runtime: expected a boolean, got "yes"'],
  ["now", { now: 5 }, "now: expected a function, got 5"],
  ["maxLabelValues", { maxLabelValues: 0 }, "expected an integer from 1 to 10000, got 0"],
  ["maxLabelValues", { maxLabelValues: 1.5 }, "got 1.5"],
  ["maxLabelValues", { maxLabelValues: 10_001 }, "got 10001"],
  ["labels", { labels: () => "x" }, "labels: expected an object, got a function"],
  ["labels", { labels: { quantile: "x" } }, "not reserved by Prometheus"],
  ["labels.zone", { labels: { zone: {} } }, "labels.zone: expected a string, got an object"],
  ["tiers", { tiers: 1 }, "tiers: expected an object, got 1"],
  ["tiers.fast", { tiers: { fast: 100 } }, "tiers.fast: expected an object, got 100"],
  ["tiers.fast.objectiveMs", { tiers: { fast: { objectiveMs: 0 } } }, "above 0, got 0"],
  ["tiers.x.objectiveMs", { tiers: { x: {} } }, "milliseconds above 0, got undefined"],
  [
    "tiers",
    {
      tiers: Object.fromEntries(
        Array.from({ length: 51 }, (_, n) => [`t${n}`, { objectiveMs: 1 }]),
      ),
    },
    "tiers: expected at most 50, got 54",
  ],
])("a wrong %s says what was expected and what came: %j", (option, options, message) => {
  let thrown: unknown;
  try {
    new Metrics(options as never).close();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(InvalidOptionError);
  expect(thrown).toBeInstanceOf(MetricsError);
  expect(thrown).toMatchObject({
    code: "METRICS_INVALID_OPTION",
    option,
    name: "InvalidOptionError",
  });
  expect((thrown as Error).message).toContain(message);
});

test("a constant label that a family of the package has itself is refused", () => {
  expect(() => new Metrics({ labels: { tier: "x" } })).toThrow(
    expect.objectContaining({ code: "METRICS_FAMILY_CONFLICT" }),
  );
});
