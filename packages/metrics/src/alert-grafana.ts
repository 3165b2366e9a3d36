import { dashboardGroups } from "./alert-grafana-groups.ts";
import type { DashboardGroup, DashboardPanel, DashboardQuery } from "./alert-grafana-groups.ts";
import { comparisons } from "./alert-expressions.ts";
import type { AnySelector } from "./alert-expressions.ts";
import { checkRules } from "./alert-options.ts";
import { promSelector } from "./alert-promql.ts";
import type { AlertRule } from "./alert-rule.ts";

export interface GrafanaOptions {
  /** Default `mcp-accel`. */
  readonly title?: string;
  /** Rules whose alerts are listed and whose thresholds are drawn. */
  readonly rules?: readonly AlertRule[];
  /** Default: all that the five packages describe. */
  readonly groups?: readonly DashboardGroup[];
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Of Grafana 10; newer ones migrate it. */
const SCHEMA_VERSION = 38;
const DATASOURCE: Json = { type: "prometheus", uid: "${datasource}" };
const TARGET = 'job=~"$job",instance=~"$instance"';
const COLUMNS = 2;
const WIDTH = 24;
const HEIGHT = 8;

/** A dashboard as Grafana imports it: its data source is a variable, chosen on the page. Throws like `Alerts` for wrong rules. */
export function grafanaDashboard(options: GrafanaOptions = {}): { readonly [key: string]: Json } {
  const { title = "mcp-accel", rules = [], groups = dashboardGroups } = options;
  checkRules(rules);
  const panels = layOut(groups, rules);
  return {
    title,
    uid: null,
    tags: ["mcp-accel"],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    timezone: "",
    templating: { list: variables() },
    annotations: { list: [firingAnnotation()] },
    panels,
  };
}

function variables(): Json[] {
  return [
    { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
    labelVariable("job", "label_values(process_start_time_seconds, job)"),
    labelVariable("instance", 'label_values(process_start_time_seconds{job=~"$job"}, instance)'),
  ];
}

function labelVariable(name: string, query: string): Json {
  return {
    name,
    type: "query",
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: ".*",
    current: { selected: true, text: ["All"], value: ["$__all"] },
  };
}

function firingAnnotation(): Json {
  return {
    name: "Alerts",
    datasource: DATASOURCE,
    enable: true,
    iconColor: "red",
    expr: `ALERTS{alertstate="firing",${TARGET}}`,
    titleFormat: "{{alertname}}",
  };
}

function layOut(groups: readonly DashboardGroup[], rules: readonly AlertRule[]): Json[] {
  const panels: Json[] = [];
  let y = 0;
  const place = (panel: Readonly<Record<string, Json>>, column: number, columns: number): void => {
    const width = WIDTH / columns;
    const height = panel["type"] === "row" ? 1 : HEIGHT;
    const gridPos = { x: column * width, y, w: width, h: height };
    panels.push({ id: panels.length + 1, ...panel, gridPos });
  };
  place(alertTable(rules), 0, 1);
  y += HEIGHT;
  for (const { title, panels: inner } of groups) {
    place({ type: "row", title, collapsed: false, panels: [] }, 0, 1);
    y += 1;
    for (const [index, panel] of inner.entries()) {
      place(timeSeries(panel, rules), index % COLUMNS, COLUMNS);
      if (index % COLUMNS === COLUMNS - 1 || index === inner.length - 1) y += HEIGHT;
    }
  }
  return panels;
}

/** What fires now. A table and not Grafana's own list, which would know only Grafana's alerts. */
function alertTable(rules: readonly AlertRule[]): Readonly<Record<string, Json>> {
  const names = rules.map(({ name }) => name).join("|");
  const selected = names === "" ? "" : `alertname=~"${names}",`;
  return {
    type: "table",
    title: "Alerts that fire or are pending",
    description: "Empty is good only while there is data.",
    datasource: DATASOURCE,
    targets: [
      {
        refId: "A",
        datasource: DATASOURCE,
        expr: `ALERTS{${selected}${TARGET}}`,
        instant: true,
        format: "table",
      },
    ],
    fieldConfig: { defaults: {}, overrides: [] },
    options: { showHeader: true },
    transformations: [
      {
        id: "organize",
        options: { excludeByName: { Time: true, Value: true, __name__: true }, indexByName: {} },
      },
    ],
  };
}

function timeSeries(
  { title, unit, queries, rule }: DashboardPanel,
  rules: readonly AlertRule[],
): Readonly<Record<string, Json>> {
  const threshold = thresholdOf(rules.find(({ name }) => name === rule));
  const steps: Json[] = [{ color: "green", value: null }];
  if (threshold !== undefined) steps.push({ color: "red", value: threshold });
  return {
    type: "timeseries",
    title,
    datasource: DATASOURCE,
    targets: queries.map((query, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr: queryText(query),
      legendFormat: legendOf(query),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom: { thresholdsStyle: { mode: threshold === undefined ? "off" : "line" } },
        thresholds: { mode: "absolute", steps },
      },
      overrides: [],
    },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
  };
}

function queryText({ of, show, over = [], by = [] }: DashboardQuery): string {
  const sum = (inner: string, ...more: readonly string[]): string =>
    `sum by (${[...by, ...more].join(", ")}) (${inner})`;
  const rated = (selector: AnySelector, suffix = ""): string =>
    `rate(${promSelector(selector, suffix, TARGET)}[$__rate_interval])`;
  const events = (selector: AnySelector): string =>
    rated(selector, selector.type === "histogram" ? "_count" : "");
  if (show === "now") return sum(promSelector(of, "", TARGET));
  if (show === "rate") return sum(events(of));
  if (show === "ratio") {
    return `${sum(events(of))} / (${over.map((one) => sum(events(one))).join(" + ")})`;
  }
  return `histogram_quantile(0.${show.slice(1)}, ${sum(rated(of, "_bucket"), "le")})`;
}

function legendOf({ legend, by = [], of }: DashboardQuery): string {
  return legend ?? (by.length === 0 ? of.family : by.map((name) => `{{${name}}}`).join(" "));
}

function thresholdOf(rule: AlertRule | undefined): number | undefined {
  return rule === undefined ? undefined : comparisons(rule.when)[0]?.threshold;
}
