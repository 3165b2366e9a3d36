import { InvalidRuleError } from "./alert-errors.ts";
import { comparisons, selectorsOf } from "./alert-expressions.ts";
import type { AnySelector, Condition, Expression, LabelMatch } from "./alert-expressions.ts";
import type { RuleDefinition } from "./alert-rule.ts";
import { isLabelName } from "./options.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;
const FAMILY = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SEVERITY = new Set(["info", "warning", "critical"]);
const KINDS = new Set(["value", "share", "slope", "rate", "increase", "ratio", "quantile"]);
const AGGREGATES = new Set(["sum", "max", "min", "avg"]);
const COMPARISONS = new Set([">", ">=", "<", "<="]);
/** Labels with a meaning in Prometheus and Alertmanager. */
const TAKEN = new Set(["alertname", "alertstate", "severity", "job", "instance"]);
const MAX_TEXT = 2000;
const MAX_BY = 8;
const MAX_LABELS = 16;
const MAX_COMPARISONS = 16;
const MAX_DEPTH = 4;
const MAX_SELECTORS = 8;
const MIN_WINDOW_MS = 1000;
const MAX_WINDOW_MS = 30 * 86_400_000;

/** @throws InvalidRuleError */
export function checkRule(rule: RuleDefinition): void {
  if (typeof rule !== "object" || rule === null) {
    throw new InvalidRuleError("(unnamed)", "definition", "an object", rule);
  }
  const { name } = rule;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new InvalidRuleError("(unnamed)", "name", "1 to 100 letters, digits and _", name);
  }
  new RuleCheck(rule).run();
}

class RuleCheck {
  readonly #rule: RuleDefinition;

  constructor(rule: RuleDefinition) {
    this.#rule = rule;
  }

  run(): void {
    const { severity, when } = this.#rule;
    if (!SEVERITY.has(severity)) this.#refuse("severity", "info, warning or critical", severity);
    this.#groups();
    this.#texts();
    this.#durations();
    this.#labels();
    this.#condition(when, 1);
    const count = comparisons(when).length;
    if (count > MAX_COMPARISONS) {
      this.#refuse("when", `at most ${MAX_COMPARISONS} comparisons`, count);
    }
  }

  #groups(): void {
    const { by = [] } = this.#rule;
    if (!Array.isArray(by) || by.length > MAX_BY)
      this.#refuse("by", `at most ${MAX_BY} labels`, by);
    for (const label of by) {
      if (!isLabelName(label) || TAKEN.has(label)) {
        this.#refuse("by", "label names that are not reserved", label);
      }
    }
    if (new Set(by).size !== by.length) this.#refuse("by", "each label once", by.join());
  }

  #texts(): void {
    const { summary, description, runbook } = this.#rule;
    for (const [field, text] of Object.entries({ summary, description })) {
      const fits = typeof text === "string" && text !== "" && text.length <= MAX_TEXT;
      if (!fits || !text.isWellFormed()) {
        this.#refuse(field, `a text of 1 to ${MAX_TEXT} characters`, text);
      }
      const known = new Set(["value", ...(this.#rule.by ?? [])]);
      for (const [, name = ""] of text.matchAll(PLACEHOLDER)) {
        if (!known.has(name)) this.#refuse(field, "only {value} and labels of by in braces", name);
      }
    }
    if (runbook === undefined) return;
    const url = typeof runbook === "string" ? URL.parse(runbook) : null;
    if (url === null || !/^https?:$/.test(url.protocol) || runbook.length > MAX_TEXT) {
      this.#refuse("runbook", "a URL with http or https", runbook);
    }
  }

  #durations(): void {
    const { forMs = 0, keepFiringMs = 0, holdWithoutDataMs = 0 } = this.#rule;
    for (const [field, ms] of Object.entries({ forMs, keepFiringMs, holdWithoutDataMs })) {
      if (!Number.isInteger(ms) || ms < 0 || ms > MAX_WINDOW_MS) {
        this.#refuse(field, `whole milliseconds from 0 to ${MAX_WINDOW_MS}`, ms);
      }
    }
    if (holdWithoutDataMs > 0 && holdWithoutDataMs < MIN_WINDOW_MS) {
      const expected = `0, or at least ${MIN_WINDOW_MS} milliseconds`;
      this.#refuse("holdWithoutDataMs", expected, holdWithoutDataMs);
    }
  }

  #labels(): void {
    const { labels = {}, by = [] } = this.#rule;
    if (typeof labels !== "object" || labels === null) this.#refuse("labels", "an object", labels);
    const entries = Object.entries(labels);
    if (entries.length > MAX_LABELS) {
      this.#refuse("labels", `at most ${MAX_LABELS}`, entries.length);
    }
    for (const [name, text] of entries) {
      if (!isLabelName(name) || TAKEN.has(name) || by.includes(name)) {
        this.#refuse("labels", "label names that are neither reserved nor in by", name);
      }
      if (typeof text !== "string" || text === "" || text.length > MAX_TEXT || /\{\{/.test(text)) {
        this.#refuse(`labels.${name}`, "a text that is not a template", text);
      }
    }
  }

  #condition(condition: Condition, depth: number): void {
    if (depth > MAX_DEPTH) this.#refuse("when", `at most ${MAX_DEPTH} levels`, depth);
    if (typeof condition !== "object" || condition === null) {
      this.#refuse("when", "a condition, such as above(…)", condition);
    }
    if (condition.kind === "compare") this.#compare(condition);
    else if (condition.kind === "all" || condition.kind === "any") {
      if (!Array.isArray(condition.conditions) || condition.conditions.length === 0) {
        this.#refuse(`when.${condition.kind}`, "one condition or more", condition.conditions);
      }
      for (const inner of condition.conditions) this.#condition(inner, depth + 1);
    } else this.#refuse("when", "above, below, all or any", (condition as Condition).kind);
  }

  #compare({
    comparison,
    threshold,
    hold,
    expression,
  }: Extract<Condition, { kind: "compare" }>): void {
    for (const side of [{ comparison, threshold }, hold ?? {}]) {
      if (!COMPARISONS.has(side.comparison)) {
        this.#refuse("when.comparison", "> >= < or <=", side.comparison);
      }
      if (!Number.isFinite(side.threshold)) {
        this.#refuse("when.threshold", "a finite number", side.threshold);
      }
    }
    const rising = comparison.startsWith(">");
    if (rising !== hold.comparison.startsWith(">")) {
      this.#refuse("when.hold", "the direction of the comparison", hold.comparison);
    }
    if (rising ? hold.threshold > threshold : hold.threshold < threshold) {
      const [option, side] = rising ? ["clearBelow", "above"] : ["clearAbove", "below"];
      this.#refuse(`when.${option}`, `a number not ${side} ${threshold}`, hold.threshold);
    }
    this.#expression(expression);
  }

  #expression(expression: Expression): void {
    if (typeof expression !== "object" || expression === null || !KINDS.has(expression.kind)) {
      this.#refuse("when.expression", "an expression, such as rate(…)", expression);
    }
    if (expression.kind === "value" && !AGGREGATES.has(expression.aggregate)) {
      this.#refuse("when.aggregate", "sum, max, min or avg", expression.aggregate);
    }
    if (expression.kind === "quantile" && !(expression.q > 0 && expression.q < 1)) {
      this.#refuse("when.q", "a number between 0 and 1", expression.q);
    }
    if ("windowMs" in expression) this.#window(expression);
    if (expression.kind === "ratio") {
      for (const side of [expression.part, expression.whole]) {
        if (!Array.isArray(side) || side.length === 0 || side.length > MAX_SELECTORS) {
          this.#refuse("when.ratio", `1 to ${MAX_SELECTORS} selectors on each side`, side);
        }
      }
    }
    for (const selector of selectorsOf(expression)) this.#selector(selector, typesOf(expression));
  }

  #window({
    windowMs,
    minSamples,
  }: {
    readonly windowMs: number;
    readonly minSamples: number;
  }): void {
    if (!Number.isInteger(windowMs) || windowMs < MIN_WINDOW_MS || windowMs > MAX_WINDOW_MS) {
      const expected = `whole milliseconds from ${MIN_WINDOW_MS} to ${MAX_WINDOW_MS}`;
      this.#refuse("when.windowMs", expected, windowMs);
    }
    if (!Number.isFinite(minSamples) || minSamples < 0) {
      this.#refuse("when.minSamples", "a number of at least 0", minSamples);
    }
  }

  #selector(selector: AnySelector, types: readonly string[]): void {
    const { family, type, labels } = selector ?? {};
    if (!types.includes(type)) this.#refuse("when.selector", types.join(" or "), type);
    if (typeof family !== "string" || !FAMILY.test(family)) {
      this.#refuse("when.family", "the name of a family", family);
    }
    if (typeof labels !== "object" || labels === null) {
      this.#refuse(`when.${family}`, "an object of label matches", labels);
    }
    for (const [name, match] of Object.entries(labels)) {
      if (!isLabelName(name)) this.#refuse(`when.${family}`, "legal label names", name);
      if (!isMatch(match)) {
        const expected =
          "a string, or one of { not }, { oneOf } and { noneOf }, the last two with 1 to 100 strings";
        this.#refuse(`when.${family}.${name}`, expected, match);
      }
    }
  }

  #refuse(field: string, expected: string, received: unknown): never {
    throw new InvalidRuleError(this.#rule.name, field, expected, received);
  }
}

/** `{value}` or `{label}` in a text. */
export const PLACEHOLDER: RegExp = /(?<!\{)\{([a-zA-Z_][a-zA-Z0-9_]*)\}(?!\})/g;

function typesOf({ kind }: Expression): readonly string[] {
  if (kind === "value" || kind === "share" || kind === "slope") return ["gauge"];
  return kind === "quantile" ? ["histogram"] : ["counter", "histogram"];
}

function isText(text: unknown): boolean {
  return typeof text === "string" && text.isWellFormed();
}

function isMatch(match: LabelMatch): boolean {
  if (typeof match === "string") return isText(match);
  if (typeof match !== "object" || match === null || Object.keys(match).length !== 1) return false;
  if ("not" in match) return isText(match.not);
  const texts: unknown = "oneOf" in match ? match.oneOf : match.noneOf;
  return Array.isArray(texts) && texts.length > 0 && texts.length <= 100 && texts.every(isText);
}
