import { describe, expect, test } from "vitest";
import { row } from "../bench/soak-study/study.ts";
import { WORLDS } from "../bench/soak-study/worlds.ts";
import { segments, slopeOf } from "../bench/soak/slope.ts";
import { trendOf } from "../bench/soak/trend.ts";

const RUNS = 60;
const NAMES = Object.keys(WORLDS);

describe("the verdict of a soak, in made up runs", () => {
  test.each(NAMES.filter((name) => name.startsWith("clean")))("does not blame: %s", (name) => {
    const { passed, leak } = row(name, RUNS).verdict;
    expect(leak).toBe(0);
    expect(passed).toBeGreaterThanOrEqual(0.8 * RUNS);
  });

  test.each(NAMES.filter((name) => name.startsWith("leak") && !name.includes("chance")))(
    "does not let pass: %s",
    (name) => {
      expect(row(name, RUNS).verdict.passed).toBe(0);
    },
  );

  test.each([
    "leak: 32 B a session",
    "leak: 32 B a session, one step",
    "leak: 32 B a session, a step down",
    "leak: 64 KiB every 1600 sessions",
    "leak: 64 KiB every 800 sessions",
    "leak: 64 KiB every 200 sessions",
    "leak: 16 KiB every 512 sessions",
    "leak: 1 MiB every 3200 sessions",
  ])("finds, nearly always: %s", (name) => {
    expect(row(name, RUNS).verdict.leak).toBeGreaterThanOrEqual(0.9 * RUNS);
  });

  test("seldom lets pass what leaks six times in a run, by chance", () => {
    const { passed, leak } = row("leak: 64 KiB each 1600 or so, by chance", RUNS).verdict;
    expect(passed).toBeLessThanOrEqual(0.15 * RUNS);
    expect(leak).toBeGreaterThanOrEqual(0.5 * RUNS);
  });

  test("would mostly be none with a line through all points, if there is a step", () => {
    expect(row("clean: one step", RUNS).line.passed).toBeLessThan(0.2 * RUNS);
  });
});

describe("a slope between steps", () => {
  const points = Array.from({ length: 100 }, (_, index) => ({
    x: index * 16,
    y: 7 + index * 48 + (index >= 30 ? 65_536 : 0) - (index >= 70 ? 9000 : 0),
  }));

  test("is that of each part, whatever the order of the breaks", () => {
    expect(slopeOf(points, [70, 30])).toEqual(slopeOf(points, [30, 70]));
    const { value, low, high } = slopeOf(points, [30, 70]);
    for (const each of [value, low, high]) expect(each).toBeCloseTo(3, 9);
  });

  test("has no bounds if one of them is not known", () => {
    expect(slopeOf(points, []).high).toBe(Number.POSITIVE_INFINITY);
  });

  test("is found without being told of them", () => {
    const trend = trendOf(points, 8);
    expect(trend.model).toBe("levels");
    expect(trend.steps.map(({ at }) => at)).toEqual([30, 70]);
    expect(trend.slope.value).toBeCloseTo(3, 6);
  });

  test("is over the parts that breaks make", () => {
    expect(segments(points, [70, 30]).map(({ length }) => length)).toEqual([30, 40, 30]);
  });
});

test("steps that recur count with the interval of a Poisson process", () => {
  const points = Array.from({ length: 101 }, (_, index) => ({
    x: index * 100,
    y: (index % 2) + 100_000 * Math.floor(index / 17),
  }));
  const { model, steps, slope } = trendOf(points, 8);
  expect(model).toBe("staircase");
  expect(steps).toHaveLength(5);
  expect(slope.value).toBeCloseTo(50, 0);
  // Garwood 1936: 5 events are compatible with 1.08 to 14.15, at 99 %.
  expect(slope.low).toBeCloseTo(10.6, 0);
  expect(slope.high).toBeGreaterThan(138);
  expect(slope.high).toBeLessThan(146);
});

test.each<[string, (index: number) => number, "line" | "levels" | "staircase"]>([
  ["stairs that come every few samples", (index) => Math.floor(index / 10), "line"],
  [
    "three steps, of which one is down",
    (index) => Number(index >= 25 && index < 50) + Number(index >= 75),
    "line",
  ],
  ["three steps up", (index) => Math.floor(index / 25), "staircase"],
  ["a step up and down again", (index) => Number(index >= 25 && index < 50), "levels"],
])("the model of %s", (_, level, model) => {
  const points = Array.from({ length: 100 }, (__, index) => ({
    x: index * 16,
    y: (index % 2) + 65_536 * level(index),
  }));
  expect(trendOf(points, 8).model).toBe(model);
});
