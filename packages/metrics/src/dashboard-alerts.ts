import type { AlertView } from "./dashboard-protocol.ts";

/** A rule, or one alert, as `state()` tells it. */
export interface AlertLike {
  readonly name: string;
  readonly severity: string;
  /** `firing`, `pending` and `no-data` are shown. */
  readonly state: string;
  readonly summary: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly value?: number | undefined;
  /** The alerts of a rule that can have several. */
  readonly alerts?: readonly {
    readonly state: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly startsAtMs?: number | undefined;
    readonly value?: number | undefined;
  }[];
}

/** Whatever knows the alerts of the process: the `Alerts` of this package, or anything of its shape. */
export interface AlertSource {
  state(): readonly AlertLike[];
}

const MAX_ALERTS = 50;
const MAX_TEXT = 300;
const ORDER = ["firing", "pending", "no-data"];

/** Alerts to show, the firing ones first, at most 50. A source that throws is an alert itself. */
export function alertViews(source: AlertSource | undefined): readonly AlertView[] {
  if (source === undefined) return [];
  try {
    return source
      .state()
      .flatMap(viewsOf)
      .toSorted((left, right) => ORDER.indexOf(left.state) - ORDER.indexOf(right.state))
      .slice(0, MAX_ALERTS);
  } catch {
    const summary = "The state of the alerts could not be read";
    return [{ name: "alerts", severity: "warning", state: "no-data", summary, labels: {} }];
  }
}

function viewsOf(rule: AlertLike): readonly AlertView[] {
  const { name, severity, state, summary, since, value, alerts = [] } = rule;
  if (alerts.length === 0) return view(name, severity, state, summary, {}, since, value);
  return alerts.flatMap((alert) => {
    const { labels = {}, annotations = {}, startsAtMs } = alert;
    const text = annotations["summary"] ?? summary;
    return view(name, severity, alert.state, text, labels, startsAtMs, alert.value);
  });
}

function view(
  name: string,
  severity: string,
  state: string,
  summary: string,
  labels: Readonly<Record<string, string>>,
  sinceMs: number | undefined,
  value: number | undefined,
): readonly AlertView[] {
  if (state !== "firing" && state !== "pending" && state !== "no-data") return [];
  const own = Object.entries(labels).filter(([key]) => key !== "alertname" && key !== "severity");
  return [
    {
      name: clip(name),
      severity: clip(severity),
      state,
      summary: clip(summary),
      labels: Object.fromEntries(own.slice(0, 10).map(([key, text]) => [key, clip(text)])),
      ...(sinceMs !== undefined && Number.isFinite(sinceMs) && { sinceMs }),
      ...(value !== undefined && Number.isFinite(value) && { value }),
    },
  ];
}

function clip(text: string): string {
  return text.slice(0, MAX_TEXT);
}
