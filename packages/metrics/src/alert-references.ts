import { comparisons, selectorsOf } from "./alert-expressions.ts";
import type { AnySelector } from "./alert-expressions.ts";
import type { DashboardGroup } from "./alert-grafana-groups.ts";
import type { AlertRule } from "./alert-rule.ts";

/** A family that a rule or a panel reads, and what it takes for granted about it. */
export interface FamilyReference {
  readonly family: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** The rule or panel. */
  readonly from: string;
}

/** Labels that come from the scrape and not from the family. */
const FROM_SCRAPE = new Set(["job", "instance"]);

/** All that rules and panels read: what a host checks against the components it collects. */
export function familyReferences(
  rules: readonly AlertRule[],
  groups: readonly DashboardGroup[] = [],
): readonly FamilyReference[] {
  const ofRules = rules.flatMap(({ name, by, when }) =>
    comparisons(when)
      .flatMap(({ expression }) => selectorsOf(expression))
      .map((selector) => reference(selector, by, name)),
  );
  const ofPanels = groups.flatMap(({ panels }) =>
    panels.flatMap(({ title, queries }) =>
      queries.flatMap(({ of, over = [], by = [] }) =>
        [of, ...over].map((selector) => reference(selector, by, title)),
      ),
    ),
  );
  return [...ofRules, ...ofPanels];
}

function reference(
  { family, type, labels }: AnySelector,
  by: readonly string[],
  from: string,
): FamilyReference {
  const names = new Set([...Object.keys(labels), ...by]);
  return { family, type, from, labels: [...names].filter((name) => !FROM_SCRAPE.has(name)) };
}
