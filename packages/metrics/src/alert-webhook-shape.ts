import type { AlertEvent } from "./alert-event.ts";
import type { Labels } from "./family-table.ts";

export interface WebhookAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

/** What Alertmanager posts, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
export interface WebhookMessage {
  readonly version: "4";
  readonly groupKey: string;
  readonly truncatedAlerts: number;
  readonly status: "firing" | "resolved";
  readonly receiver: string;
  readonly groupLabels: Labels;
  readonly commonLabels: Labels;
  readonly commonAnnotations: Labels;
  readonly externalURL: string;
  readonly alerts: readonly WebhookAlert[];
}

/** Go's zero time stands for an end that has not come. */
const NO_END = "0001-01-01T00:00:00Z";

export function webhookMessage(
  events: readonly AlertEvent[],
  groupLabels: Labels,
  { receiver, externalUrl }: { readonly receiver: string; readonly externalUrl: string },
  truncatedAlerts = 0,
): WebhookMessage {
  const isFiring = events.some(({ status }) => status === "firing");
  return {
    version: "4",
    groupKey: `{}:${labelsText(groupLabels)}`,
    truncatedAlerts,
    status: isFiring ? "firing" : "resolved",
    receiver,
    groupLabels,
    commonLabels: common(events.map(({ labels }) => labels)),
    commonAnnotations: common(events.map(({ annotations }) => annotations)),
    externalURL: externalUrl,
    alerts: events.map((event) => alertOf(event, externalUrl)),
  };
}

function alertOf(event: AlertEvent, externalUrl: string): WebhookAlert {
  const { status, labels, annotations, startsAtMs, endsAtMs, fingerprint, reason } = event;
  const ended = status === "resolved" && reason === "no-data";
  return {
    status,
    labels,
    annotations: ended ? { ...annotations, resolution: "its data vanished" } : annotations,
    startsAt: new Date(startsAtMs).toISOString(),
    endsAt: endsAtMs === undefined ? NO_END : new Date(endsAtMs).toISOString(),
    generatorURL: externalUrl,
    fingerprint,
  };
}

function common(all: readonly Labels[]): Labels {
  const [first = {}, ...rest] = all;
  const shared = Object.entries(first).filter(([name, text]) =>
    rest.every((labels) => labels[name] === text),
  );
  return Object.fromEntries(shared);
}

export function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${pairs.map(([name, text]) => `${name}=${JSON.stringify(text)}`).join(", ")}}`;
}
