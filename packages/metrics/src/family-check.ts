import { InvalidFamilyError } from "./errors.ts";
import type { MetricFamily } from "./metric-families.ts";
import { isLabelName } from "./options.ts";

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const UNIT = /^[a-z]*$/;
const RESERVED_SUFFIX = /_(?:total|bucket|sum|count|created|info)$/;
const MAX_NAME_LENGTH = 255;
const MAX_HELP_LENGTH = 1_024;
const MAX_LABELS = 16;
const MAX_BUCKETS = 200;

/** Refuses a description that one of the exposition formats cannot carry, before anything of the component is registered. */
export function checkFamily(family: MetricFamily): void {
  if (typeof family !== "object" || family === null) {
    throw new InvalidFamilyError("(unnamed)", "an object", family);
  }
  checkNames(family);
  checkLabels(family);
  if (family.type === "histogram") checkHistogram(family);
  else if (typeof family.read !== "function") {
    throw new InvalidFamilyError(family.name, "a function read()", family);
  }
}

function checkNames({ name, type, help, unit }: MetricFamily): void {
  if (typeof name !== "string" || !METRIC_NAME.test(name) || name.length > MAX_NAME_LENGTH) {
    const expected = `a Prometheus metric name of at most ${MAX_NAME_LENGTH} characters`;
    throw new InvalidFamilyError("(unnamed)", expected, name);
  }
  if (type !== "counter" && type !== "gauge" && type !== "histogram") {
    throw new InvalidFamilyError(name, "the type counter, gauge or histogram", type);
  }
  if (typeof help !== "string" || help === "" || help.length > MAX_HELP_LENGTH) {
    throw new InvalidFamilyError(name, `a help text of 1 to ${MAX_HELP_LENGTH} characters`, help);
  }
  if (typeof unit !== "string" || !UNIT.test(unit)) {
    throw new InvalidFamilyError(name, "a unit of lower-case letters, or an empty one", unit);
  }
  const base = type === "counter" ? name.replace(/_total$/, "") : name;
  if (type === "counter" ? base === name : RESERVED_SUFFIX.test(name)) {
    const expected =
      type === "counter" ? "a name that ends in _total" : "no suffix of another type";
    throw new InvalidFamilyError(name, expected, name);
  }
  if (unit !== "" && !base.endsWith(`_${unit}`)) {
    throw new InvalidFamilyError(name, `a name with the unit _${unit}`, name);
  }
}

function checkLabels({ name, labels }: MetricFamily): void {
  if (!Array.isArray(labels) || labels.length > MAX_LABELS) {
    throw new InvalidFamilyError(name, `at most ${MAX_LABELS} label names`, labels);
  }
  for (const label of labels) {
    if (!isLabelName(label)) throw new InvalidFamilyError(name, "a legal label name", label);
  }
  if (new Set(labels).size !== labels.length) {
    throw new InvalidFamilyError(name, "each label once", labels.join());
  }
}

function checkHistogram(family: Extract<MetricFamily, { type: "histogram" }>): void {
  const { name, buckets, event } = family;
  if (!Array.isArray(buckets) || buckets.length === 0 || buckets.length > MAX_BUCKETS) {
    throw new InvalidFamilyError(name, `1 to ${MAX_BUCKETS} buckets`, buckets);
  }
  const rising = buckets.every(
    (bound, index) => index === 0 || bound > (buckets[index - 1] ?? NaN),
  );
  if (!rising || !buckets.every((bound) => Number.isFinite(bound))) {
    throw new InvalidFamilyError(name, "finite, rising bucket bounds", buckets.join());
  }
  if (typeof event !== "string" || event === "") {
    throw new InvalidFamilyError(name, "the name of an event", event);
  }
  if (typeof family.value !== "function") {
    throw new InvalidFamilyError(name, "a function value(event)", family);
  }
}
