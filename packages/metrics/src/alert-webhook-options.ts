import { unrefSchedule } from "./alert-schedule.ts";
import type { Schedule } from "./alert-schedule.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";

export interface WebhookSinkOptions {
  readonly url: string;
  /** Exact origins that `url` may have, such as `https://hooks.example.org`. Redirects are never followed. */
  readonly allowedOrigins: readonly string[];
  /** Also the name of the receiver in the message. Default `webhook`. */
  readonly name?: string;
  /** More headers, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Alerts with equal values of these labels share a message. Default `alertname`. */
  readonly groupBy?: readonly string[];
  /** Where people find more: `externalURL`. */
  readonly externalUrl?: string;
  /** How long alerts are gathered before they are sent. Default 1 s. */
  readonly groupWaitMs?: number;
  /** For one attempt. Default 5 s. */
  readonly timeoutMs?: number;
  /** Attempts for one message. Default 5. */
  readonly maxAttempts?: number;
  /** Before the second attempt at most; doubles up to a minute. Default 1 s. */
  readonly backoffMs?: number;
  /** Alerts that are remembered or wait. Default 1,000. */
  readonly maxAlerts?: number;
  /** Alerts in one message; `truncatedAlerts` counts the rest, and what is new of it follows. Default 500. */
  readonly maxAlertsPerMessage?: number;
  readonly onError?: (error: unknown) => void;
  readonly schedule?: Schedule;
  /** From 0 to 1, for jitter. */
  readonly random?: () => number;
}

export type ResolvedWebhookOptions = Required<Omit<WebhookSinkOptions, "allowedOrigins">> & {
  readonly origin: string;
};

const BOUNDS = {
  groupWaitMs: [1_000, 0, 600_000],
  timeoutMs: [5_000, 10, 120_000],
  maxAttempts: [5, 1, 20],
  backoffMs: [1_000, 1, 60_000],
  maxAlerts: [1_000, 1, 100_000],
  maxAlertsPerMessage: [500, 1, 10_000],
} as const;

/** @throws InvalidOptionError naming the first option that is wrong */
export function resolveWebhookOptions(options: WebhookSinkOptions): ResolvedWebhookOptions {
  requireObject("options", options);
  const { name = "webhook", headers = {}, groupBy = ["alertname"], externalUrl = "" } = options;
  const { onError = () => undefined, schedule = unrefSchedule, random = Math.random } = options;
  for (const [option, call] of Object.entries({ onError, schedule, random })) {
    if (typeof call !== "function") throw new InvalidOptionError(option, "a function", call);
  }
  for (const [option, text] of Object.entries({ name, externalUrl })) {
    if (typeof text !== "string") throw new InvalidOptionError(option, "a string", text);
  }
  if (name === "") throw new InvalidOptionError("name", "a word", name);
  if (!Array.isArray(groupBy)) throw new InvalidOptionError("groupBy", "label names", groupBy);
  const origin = allowedOrigin(options);
  const numbers = Object.entries(BOUNDS).map(([option, [initial, min, max]]) => {
    const number = options[option as keyof typeof BOUNDS] ?? initial;
    if (!Number.isInteger(number) || number < min || number > max) {
      throw new InvalidOptionError(option, `an integer from ${min} to ${max}`, number);
    }
    return [option, number];
  });
  const limits = Object.fromEntries(numbers) as Record<keyof typeof BOUNDS, number>;
  const rest = { onError, schedule, random, url: options.url, origin, name, externalUrl };
  return { ...limits, ...rest, headers: checkedHeaders(headers), groupBy: [...groupBy] };
}

/** Targets may carry secrets in their path: messages show no more than their origin. */
function allowedOrigin({ url, allowedOrigins }: WebhookSinkOptions): string {
  if (!Array.isArray(allowedOrigins)) {
    throw new InvalidOptionError("allowedOrigins", "an array of origins", allowedOrigins);
  }
  for (const allowed of allowedOrigins) {
    const parsed = typeof allowed === "string" ? URL.parse(allowed) : null;
    if (parsed === null || parsed.origin !== allowed) {
      const expected = "exact origins, such as https://hooks.example.org";
      throw new InvalidOptionError("allowedOrigins", expected, allowed);
    }
  }
  const target = typeof url === "string" ? URL.parse(url) : null;
  if (target === null || !/^https?:$/.test(target.protocol)) {
    throw new InvalidOptionError("url", "a URL with http or https", typeof url);
  }
  if (target.username !== "" || target.password !== "") {
    throw new InvalidOptionError("url", "no credentials in the URL; use headers", target.origin);
  }
  if (!allowedOrigins.includes(target.origin)) {
    throw new InvalidOptionError("url", "an origin of allowedOrigins", target.origin);
  }
  return target.origin;
}

function checkedHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  requireObject("headers", headers);
  try {
    return Object.fromEntries(new Headers(headers));
  } catch {
    throw new InvalidOptionError("headers", "legal names and values", "others");
  }
}
