import type { AlertSink } from "./alert-dispatch.ts";
import { WebhookError } from "./alert-errors.ts";
import type { AlertEvent } from "./alert-event.ts";
import { resolveWebhookOptions } from "./alert-webhook-options.ts";
import type { ResolvedWebhookOptions, WebhookSinkOptions } from "./alert-webhook-options.ts";
import { labelsText, webhookMessage } from "./alert-webhook-shape.ts";
import type { Labels } from "./family-table.ts";
import type { ScalarFamily } from "./metric-families.ts";
import { safely } from "./safe-emit.ts";

export interface WebhookSinkStats {
  readonly sent: number;
  readonly failed: number;
  readonly retries: number;
  /** Events that changed nothing the receiver knows of. */
  readonly deduplicated: number;
  /** Alerts beyond `maxAlerts`. */
  readonly dropped: number;
  /** Alerts the receiver was told of, or is to be. */
  readonly alerts: number;
}

interface Group {
  readonly labels: Labels;
  readonly alerts: Map<string, AlertEvent>;
  /** Fingerprints that the receiver knows to fire, with the beginning it knows. */
  readonly told: Map<string, number>;
}

const MAX_BACKOFF_MS = 60_000;

/**
 * Posts alerts as Alertmanager does: grouped, all that fire with those that ended, and only when the receiver does not know yet. An alert
 * that ends before anybody was told is not mentioned.
 */
export class WebhookSink implements AlertSink {
  readonly name: string;
  readonly #options: ResolvedWebhookOptions;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<string>();
  /** Groups given up while the receiver was in trouble. */
  readonly #stuck = new Set<string>();
  readonly #counts = { sent: 0, failed: 0, retries: 0, deduplicated: 0, dropped: 0 };
  readonly #closing = new AbortController();
  #flushing = false;
  #cancel: (() => void) | undefined;
  #wake: (() => void) | undefined;

  /** @throws InvalidOptionError */
  constructor(options: WebhookSinkOptions) {
    this.#options = resolveWebhookOptions(options);
    this.name = this.#options.name;
  }

  /** Takes the event in; it is sent after `groupWaitMs`. */
  deliver(event: AlertEvent): void {
    if (this.#closing.signal.aborted) return;
    const present = this.#options.groupBy.filter((label) => event.labels[label] !== undefined);
    const labels = Object.fromEntries(present.map((label) => [label, event.labels[label] ?? ""]));
    const key = labelsText(labels);
    const group = this.#groups.get(key) ?? { labels, alerts: new Map(), told: new Map() };
    if (!group.alerts.has(event.fingerprint)) {
      if (event.status === "resolved") {
        this.#counts.deduplicated += 1;
        return;
      }
      if (this.#size() >= this.#options.maxAlerts) {
        this.#counts.dropped += 1;
        return;
      }
    }
    this.#groups.set(key, group);
    group.alerts.set(event.fingerprint, event);
    this.#dirty.add(key);
    this.#plan();
  }

  stats(): WebhookSinkStats {
    return { ...this.#counts, alerts: this.#size() };
  }

  metricFamilies(): readonly ScalarFamily[] {
    return [
      {
        type: "counter",
        name: "metrics_alert_webhook_messages_total",
        help: "Messages of a webhook, by how they ended, and attempts repeated",
        unit: "",
        labels: ["webhook", "outcome"],
        read: () => {
          const { sent, failed, retries } = this.#counts;
          return Object.entries({ sent, failed, retries }).map(([outcome, value]) => ({
            value,
            labels: { webhook: this.name, outcome },
          }));
        },
      },
    ];
  }

  /** Aborts what is under way and forgets what waits. */
  close(): void {
    this.#cancel?.();
    this.#closing.abort();
    this.#wake?.();
    this.#groups.clear();
    this.#dirty.clear();
    this.#stuck.clear();
  }

  #size(): number {
    let size = 0;
    for (const { alerts } of this.#groups.values()) size += alerts.size;
    return size;
  }

  #plan(): void {
    if (this.#flushing || this.#cancel !== undefined) return;
    this.#cancel = this.#options.schedule(() => {
      this.#cancel = undefined;
      void this.#flush();
    }, this.#options.groupWaitMs);
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) {
      const group = this.#groups.get(key);
      if (group !== undefined) await this.#notify(key, group);
    }
    this.#flushing = false;
    if (this.#dirty.size > 0 && !this.#closing.signal.aborted) this.#plan();
  }

  /** Each attempt says what is true by then. */
  async #notify(key: string, group: Group): Promise<void> {
    const { maxAttempts, onError } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const events = this.#news(group);
      if (events.length === 0 || this.#closing.signal.aborted) return this.#forgetEmpty(key, group);
      try {
        const told = events.slice(0, this.#options.maxAlertsPerMessage);
        await this.#post(told, group, events.length - told.length);
        this.#counts.sent += 1;
        remember(told, group);
        if (this.#news(group).length > 0) this.#dirty.add(key);
        this.#unstick();
        return this.#forgetEmpty(key, group);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (attempt >= maxAttempts || !isTransient(error)) {
          this.#counts.failed += 1;
          if (isTransient(error)) this.#stuck.add(key);
          return safely(() => onError(error));
        }
        this.#counts.retries += 1;
        await this.#backOff(attempt);
      }
    }
  }

  /** All that fires and what ended since, if any of it is new to the receiver; what is new comes first. */
  #news({ alerts, told }: Group): readonly AlertEvent[] {
    for (const [fingerprint, { status }] of alerts) {
      if (status === "firing" || told.has(fingerprint)) continue;
      alerts.delete(fingerprint);
      this.#counts.deduplicated += 1;
    }
    const isNew = ({ status, fingerprint, startsAtMs }: AlertEvent): boolean =>
      status === "resolved" || told.get(fingerprint) !== startsAtMs;
    const events = [...alerts.values()];
    const news = events.filter(isNew);
    return news.length === 0 ? [] : [...news, ...events.filter((event) => !isNew(event))];
  }

  async #post(events: readonly AlertEvent[], { labels }: Group, truncated: number): Promise<void> {
    const { url, origin, headers, timeoutMs, schedule } = this.#options;
    const { name: receiver, externalUrl } = this.#options;
    const message = webhookMessage(events, labels, { receiver, externalUrl }, truncated);
    const late = new AbortController();
    const cancel = schedule(() => late.abort(), timeoutMs);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(message),
        redirect: "manual",
        signal: AbortSignal.any([late.signal, this.#closing.signal]),
      });
      await response.body?.cancel();
      if (response.ok) return;
      const { status } = response;
      const reason = status >= 300 && status < 400 ? "redirects are not followed" : "refused";
      throw new WebhookError(origin, `answered ${status}, ${reason}`, status);
    } catch (error) {
      if (error instanceof WebhookError) throw error;
      const reason = late.signal.aborted ? `no answer within ${timeoutMs} ms` : "no connection";
      throw new WebhookError(origin, reason, undefined, { cause: error });
    } finally {
      cancel();
    }
  }

  /** Full jitter: any time up to the bound. */
  async #backOff(attempt: number): Promise<void> {
    const { backoffMs, random, schedule } = this.#options;
    const bound = Math.min(MAX_BACKOFF_MS, backoffMs * 2 ** (attempt - 1));
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = schedule(resolve, Math.round(random() * bound));
    this.#wake = resolve;
    await promise;
    cancel();
  }

  /** A receiver that answers again hears what it missed. */
  #unstick(): void {
    for (const key of this.#stuck) this.#dirty.add(key);
    this.#stuck.clear();
  }

  #forgetEmpty(key: string, { alerts }: Group): void {
    if (alerts.size === 0) this.#groups.delete(key);
  }
}

/** What changed while the message was under way stays for the next one. */
function remember(events: readonly AlertEvent[], { alerts, told }: Group): void {
  for (const event of events) {
    const { fingerprint, status, startsAtMs } = event;
    if (status === "firing") told.set(fingerprint, startsAtMs);
    else {
      told.delete(fingerprint);
      if (alerts.get(fingerprint) === event) alerts.delete(fingerprint);
    }
  }
}

/** Worth another attempt: no answer, too many requests, or an error of the receiver. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof WebhookError)) return false;
  const { status } = error;
  return status === undefined || status === 429 || status >= 500;
}
