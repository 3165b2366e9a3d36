import { describe, expect, test } from "vitest";
import {
  Alerts,
  above,
  all,
  any,
  below,
  burnRateRules,
  counter,
  defaultRules,
  defineRule,
  gauge,
  histogram,
  increase,
  promqlOf,
  prometheusRules,
  quantile,
  rate,
  ratio,
  share,
  slope,
  value,
} from "../src/alerts.ts";
import type { Condition, RuleDefinition } from "../src/alerts.ts";
import { FakeSource } from "./alert-support.ts";

const depth = value(gauge("depth"));
const good: RuleDefinition = {
  name: "Depth",
  severity: "warning",
  summary: "depth is {value}",
  description: "{queue} is deep",
  by: ["queue"],
  when: above(depth, 1),
  holdWithoutDataMs: 0,
};

const promql = (when: Condition, more: Partial<RuleDefinition> = {}): string =>
  promqlOf(defineRule({ ...good, when, ...more }));

describe("alerts: definitions", () => {
  test("defaults are filled in and nothing can be changed afterwards", () => {
    const { holdWithoutDataMs: _, ...without } = good;
    const rule = defineRule(without);
    expect(rule).toMatchObject({
      forMs: 0,
      keepFiringMs: 0,
      holdWithoutDataMs: 600_000,
      labels: {},
    });
    expect(() => {
      (rule.by as string[]).push("x");
    }).toThrow(TypeError);
    expect(Object.isFrozen(rule.when)).toBe(true);
  });

  const wrong: readonly (readonly [string, Partial<Record<keyof RuleDefinition, unknown>>])[] = [
    ["name", { name: "disk full" }],
    ["name", { name: 7 }],
    ["severity", { severity: "page" }],
    ["summary", { summary: "" }],
    ["summary", { summary: "{pool} is full" }],
    ["description", { description: "\ud800" }],
    ["runbook", { runbook: "javascript:alert(1)" }],
    ["runbook", { runbook: "runbooks/depth.md" }],
    ["forMs", { forMs: -1 }],
    ["forMs", { forMs: 1.5 }],
    ["keepFiringMs", { keepFiringMs: Infinity }],
    ["holdWithoutDataMs", { holdWithoutDataMs: NaN }],
    ["holdWithoutDataMs", { holdWithoutDataMs: 999 }],
    ["by", { by: ["le"] }],
    ["by", { by: ["queue", "queue"] }],
    ["by", { by: ["instance"] }],
    ["by", { by: "queue" }],
    ["labels", { labels: { severity: "info" } }],
    ["labels", { labels: { queue: "mail" } }],
    ["labels.team", { labels: { team: "{{ $value }}" } }],
    ["when", { when: undefined }],
    ["when", { when: { kind: "not" } }],
    ["when.all", { when: all() }],
    ["when", { when: all(any(all(any(above(depth, 1))))) }],
    ["when", { when: any(...Array.from({ length: 17 }, () => above(depth, 1))) }],
    ["when.threshold", { when: above(depth, NaN) }],
    ["when.clearBelow", { when: above(depth, 1, { clearBelow: 2 }) }],
    ["when.clearAbove", { when: below(depth, 1, { clearAbove: 0 }) }],
    ["when.expression", { when: above(undefined as never, 1) }],
    ["when.aggregate", { when: above(value(gauge("depth"), "median" as never), 1) }],
    ["when.selector", { when: above(value(counter("jobs_total") as never), 1) }],
    ["when.selector", { when: above(rate(gauge("depth") as never, { windowMs: 9e3 }), 1) }],
    ["when.family", { when: above(value(gauge('x{y="z"}')), 1) }],
    ["when.depth", { when: above(value(gauge("depth", { "a-b": "x" })), 1) }],
    ["when.depth.a", { when: above(value(gauge("depth", { a: { oneOf: [] } })), 1) }],
    ["when.depth.a", { when: above(value(gauge("depth", { a: { noneOf: [] } })), 1) }],
    [
      "when.depth.a",
      { when: above(value(gauge("depth", { a: { oneOf: ["b"], noneOf: ["b"] } })), 1) },
    ],
    ["when.windowMs", { when: above(rate(counter("jobs_total"), { windowMs: 10 }), 1) }],
    ["when.minSamples", { when: above(slope(gauge("d"), { windowMs: 9e3, minSamples: -1 }), 1) }],
    ["when.q", { when: above(quantile(99, histogram("h"), { windowMs: 9e3 }), 1) }],
    ["when.ratio", { when: above(ratio([], counter("jobs_total"), { windowMs: 9e3 }), 1) }],
  ];

  test.each(wrong)("a wrong %s is refused with its name: %j", (field, change) => {
    const definition = { ...good, ...change } as RuleDefinition;
    expect(() => defineRule(definition)).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_RULE", name: "InvalidRuleError", field }),
    );
  });

  test("rules of one name, and objects that are no rules, are refused", () => {
    const rule = defineRule(good);
    const source = new FakeSource();
    expect(() => new Alerts(source, { rules: [rule, rule] })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_RULE", field: "name" }),
    );
    for (const options of [
      { rules: [{ ...good }] },
      { rules: [rule], intervalMs: 1 },
      { rules: [rule], sinks: [{ name: "x" }] },
      { rules: [rule], now: 5 },
      { rules: [rule], maxQueued: 0 },
    ]) {
      expect(() => new Alerts(source, options as never)).toThrow(
        expect.objectContaining({ code: "METRICS_INVALID_OPTION" }),
      );
    }
    expect(() => new Alerts({} as never, { rules: [] })).toThrow(/snapshot/);
  });

  test("an objective too low for its burn rate is refused", () => {
    const options = { name: "X", subject: "x", bad: counter("b_total"), total: counter("t_total") };
    for (const objective of [0.9, 0, 1, NaN]) {
      expect(() => burnRateRules({ ...options, objective })).toThrow(
        expect.objectContaining({ code: "METRICS_INVALID_RULE", field: "objective" }),
      );
    }
    const names = burnRateRules({ ...options, objective: 0.999 }).map(({ name }) => name);
    expect(names).toEqual(["XBudgetBurnFast", "XBudgetBurnSlow"]);
  });
});

describe("alerts: default rules", () => {
  test("each can be changed, left out, or given another runbook", () => {
    const rules = defaultRules({
      rules: {
        CacheHitRatioLow: { threshold: 0.5, clear: 0.6, severity: "info", forMs: 1000 },
        MemoryHigh: false,
      },
      toolCallObjective: false,
      runbookBase: "https://example.org/#",
    });
    const names = rules.map(({ name }) => name);
    expect(names).not.toContain("MemoryHigh");
    expect(names.some((name) => name.includes("Burn"))).toBe(false);
    const hitRatio = rules.find(({ name }) => name === "CacheHitRatioLow");
    expect(hitRatio).toMatchObject({
      severity: "info",
      forMs: 1000,
      runbook: "https://example.org/#cachehitratiolow",
      when: { threshold: 0.5, hold: { threshold: 0.6 } },
    });
    expect(defaultRules()).toHaveLength(13);
  });

  test("an unknown name, and an override without sense, are refused", () => {
    expect(() => defaultRules({ rules: { HitRatio: false } as never })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION" }),
    );
    expect(() => defaultRules({ rules: { CacheHitRatioLow: { clear: 0.1 } } })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_RULE", field: "when.clearAbove" }),
    );
  });
});

describe("alerts: PromQL", () => {
  const window = { windowMs: 90_000 };

  test.each([
    [above(depth, 1), "(sum by (queue) (depth) > 1)"],
    [
      above(share(gauge("a"), gauge("b")), 0.5),
      "((sum by (queue) (a) / (sum by (queue) (b) > 0)) > 0.5)",
    ],
    [above(slope(gauge("a"), window), 0.5), "(sum by (queue) (deriv(a[1m30s])) > 0.5)"],
    [below(rate(histogram("a"), window), 3), "(sum by (queue) (rate(a_count[1m30s])) < 3)"],
    [
      above(increase(counter("a_total"), { ...window, minSamples: 9 }), 0),
      "((sum by (queue) (increase(a_total[1m30s])) and (sum by (queue) (count_over_time(a_total[1m30s])) >= 9)) > 0)",
    ],
    [
      above(quantile(0.99, histogram("h", { a: "b" }), { ...window, minSamples: 5 }), 2),
      '((histogram_quantile(0.99, sum by (queue, le) (rate(h_bucket{a="b"}[1m30s]))) and (sum by (queue) (increase(h_count{a="b"}[1m30s])) >= 5)) > 2)',
    ],
    [
      above(ratio([counter("a_total"), counter("b_total")], counter("c_total"), window), 0.5),
      "((((sum by (queue) (rate(a_total[1m30s])) or 0 * (sum by (queue) (rate(c_total[1m30s])))) + (sum by (queue) (rate(b_total[1m30s])) or 0 * (sum by (queue) (rate(c_total[1m30s]))))) / ((sum by (queue) (rate(c_total[1m30s]))) > 0)) > 0.5)",
    ],
    [
      all(above(depth, 1), any(above(depth, 2), above(depth, 3))),
      "((sum by (queue) (depth) > 1) and ((sum by (queue) (depth) > 2) or (sum by (queue) (depth) > 3)))",
    ],
  ] as const)("condition %#", (when, expected) => {
    expect(promql(when)).toBe(expected);
  });

  test("texts of labels cannot leave their quotes, and alternatives are no patterns", () => {
    const labels = {
      a: 'x"} or vector(1) #',
      b: { not: "\\" },
      c: { oneOf: ["a.b", "c|d"] },
      d: { noneOf: ["", "e.f"] },
    };
    expect(promql(above(value(gauge("depth", labels)), 1))).toBe(
      '(sum by (queue) (depth{a="x\\"} or vector(1) #",b!="\\\\",c=~"a\\\\.b|c\\\\|d",d!~"|e\\\\.f"}) > 1)',
    );
  });

  test("the clear threshold and missing data hold what fires, by ALERTS", () => {
    const text = promql(above(depth, 10, { clearBelow: 5 }), { holdWithoutDataMs: 60_000 });
    const firing =
      'max by (queue) (ALERTS{alertname="Depth",alertstate="firing",severity="warning"})';
    expect(text.split("\n").map((line) => line.trim())).toEqual([
      "(",
      "(sum by (queue) (depth) > 10)",
      ")",
      "or",
      "(",
      "(sum by (queue) (depth) >= 5)",
      "and",
      firing,
      ")",
      "or",
      "(",
      `(${firing} unless (sum by (queue) (depth) >= -Inf))`,
      "and",
      "present_over_time((sum by (queue) (depth) >= -Inf)[1m:3s])",
      ")",
    ]);
  });

  test("texts with braces reach the annotation as they are, and placeholders become templates", () => {
    const rule = defineRule({ ...good, summary: "{{ $value }} or {value} of {queue}" });
    const yaml = prometheusRules([rule]);
    expect(yaml).toContain(
      String.raw`summary: "{{ \"{{\" }} $value }} or {{ $value | humanize }} of {{ $labels.queue }}"`,
    );
  });

  test("wrong options of the rule file are refused", () => {
    for (const options of [{ group: "" }, { intervalMs: 0 }]) {
      expect(() => prometheusRules([defineRule(good)], options)).toThrow(
        expect.objectContaining({ code: "METRICS_INVALID_OPTION" }),
      );
    }
  });
});
