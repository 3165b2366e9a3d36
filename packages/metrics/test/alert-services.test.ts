import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { Metrics } from "../src/index.ts";
import {
  Alerts,
  WebhookSink,
  above,
  all,
  any,
  below,
  counter as counterSeries,
  defaultRules,
  defineRule,
  gauge,
  grafanaDashboard,
  histogram,
  increase,
  prometheusRules,
  promtoolTests,
  quantile,
  rate,
  ratio,
  ruleFiles,
  share,
  slope,
  value,
} from "../src/alerts.ts";
import type { AlertEvent, AlertRule, Expression, WebhookMessage } from "../src/alerts.ts";
import { toYaml } from "../src/alert-yaml.ts";
import { canRun } from "../../../tools/services/find.ts";
import { alertmanagerProgram, startAlertmanager } from "../../../tools/services/alertmanager.ts";
import {
  prometheusProgram,
  promtoolProgram,
  startPrometheus,
} from "../../../tools/services/prometheus.ts";
import { promtool } from "./alert-support.ts";
import { component, counter } from "./components.ts";
import { WebhookReceiver } from "./webhook-receiver.ts";

describe.skipIf(!canRun("alert rules", "promtool", promtoolProgram))("alerts: the files", () => {
  test("promtool accepts the default rules, and their unit tests show each firing and resolving", async () => {
    const files = { ...ruleFiles() };
    const check = await promtool(files, "check", "rules", "rules.yaml");
    expect(check.output).toContain("SUCCESS: 13 rules found");
    expect(check.ok).toBe(true);
    const unit = await promtool(files, "test", "rules", "rules.test.yaml");
    expect(unit.output).toContain("SUCCESS");
    expect(unit.ok).toBe(true);
  }, 120_000);

  test("every kind of expression, above and below, has a unit test that promtool passes", async () => {
    const rules = everyKind();
    const files = {
      "own.yaml": prometheusRules(rules, { targetLabels: ["pod"] }),
      "own.test.yaml": promtoolTests(rules, { ruleFile: "own.yaml", targetLabels: ["pod"] }),
    };
    expect((await promtool(files, "check", "rules", "own.yaml")).ok).toBe(true);
    const { ok, output } = await promtool(files, "test", "rules", "own.test.yaml");
    expect(ok ? "" : output).toBe("");
  }, 120_000);

  test("Prometheus can read every query of the dashboard", async () => {
    const { panels } = grafanaDashboard({ rules: defaultRules() }) as unknown as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const rules = queries.map((expr, index) => ({
      record: `panel:query:${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$(job|instance)/g, ".+"),
    }));
    const file = { "panels.yaml": toYaml({ groups: [{ name: "panels", rules }] }) };
    const { ok, output } = await promtool(file, "check", "rules", "panels.yaml");
    expect(ok ? "" : output).toBe("");
    expect(output).toContain(`${queries.length} rules found`);
    expect(queries.length).toBeGreaterThan(40);
  });

  test("a rule that never fires fails its unit test", async () => {
    const files = ruleFiles();
    const broken = files["rules.yaml"].replace("< 0.8", "< 0");
    expect(broken).not.toBe(files["rules.yaml"]);
    const changed = { ...files, "rules.yaml": broken };
    const unit = await promtool(changed, "test", "rules", "rules.test.yaml");
    expect(unit.ok).toBe(false);
    expect(unit.output).toContain("CacheHitRatioLow");
  }, 120_000);
});

function everyKind(): readonly AlertRule[] {
  const jobs = counterSeries("jobs_total", { kind: { oneOf: ["a.b", "c"] } });
  const window = { windowMs: 120_000, minSamples: 3 };
  const expressions: readonly Expression[] = [
    value(gauge("depth", { queue: { not: "" } }), "avg"),
    share(gauge("used"), gauge("free")),
    slope(gauge("depth"), window),
    rate(jobs, window),
    increase(histogram("wait_seconds"), window),
    ratio([jobs, counterSeries("more_total")], [jobs, counterSeries("rest_total")], window),
    quantile(0.95, histogram("wait_seconds", { queue: "mail" }), window),
    value(gauge("depth", { queue: { noneOf: ["", "some"] } })),
  ];
  const conditions = expressions.flatMap((expression) => [
    above(expression, 0.5, { clearBelow: 0.25 }),
    below(expression, 0.5, { clearAbove: 0.75 }),
  ]);
  conditions.push(below(slope(gauge("depth"), window), -0.5, { clearAbove: -0.25 }));
  const [first, second, third] = [expressions[0]!, expressions[2]!, expressions[3]!].map(
    (expression) => above(expression, 0.1),
  );
  return [...conditions, all(first!, any(second!, third!)), any(third!, first!)].map(
    (when, index) =>
      defineRule({
        name: `Kind${index}`,
        severity: "info",
        summary: "{value} of {queue}",
        description: "any",
        by: ["queue"],
        when,
        forMs: 60_000,
        keepFiringMs: 30_000,
        labels: { team: 'o"ps' },
      }),
  );
}

const canAlert =
  canRun("alerts end to end", "prometheus", prometheusProgram) &&
  canRun("alerts end to end", "alertmanager", alertmanagerProgram);

const INTERVAL_MS = 200;

const rule = defineRule({
  name: "JobsFail",
  severity: "critical",
  summary: "{value} of the jobs fail",
  description: "Look at the worker {worker}.",
  runbook: "https://example.org/runbooks/jobs",
  by: ["worker"],
  forMs: 600,
  when: above(
    ratio(counterSeries("job_errors_total"), counterSeries("jobs_total"), { windowMs: 2_500 }),
    0.5,
    { clearBelow: 0.2 },
  ),
});

describe.skipIf(!canAlert)("alerts: through Prometheus and Alertmanager", () => {
  test("a threshold that is crossed fires once and resolves once, and the process agrees", async () => {
    await using receiver = await WebhookReceiver.start();
    await using alertmanager = await startAlertmanager(alertmanagerConfig(receiver.origin));
    using metrics = new Metrics({ runtime: false });
    const work = collectWork(metrics);
    const events: AlertEvent[] = [];
    using alerts = watch(metrics, receiver.origin, events);
    const port = await serve(metrics);
    await using prometheus = await startPrometheus(prometheusConfig(port, alertmanager.port), {
      "rules.yaml": prometheusRules([rule], { intervalMs: INTERVAL_MS }),
    });

    const both = (status: string): boolean =>
      ["/alertmanager", "/own"].every((path) =>
        receiver.messages(path).some((message) => message.status === status),
      );
    await working(work, 0, () => work.rounds > 30);
    expect(receiver.received).toEqual([]);
    await working(work, 0.9, () => both("firing"));
    await working(work, 0.3, () => work.rounds > 30);
    expect(receiver.messages("/own").map(({ status }) => status)).toEqual(["firing"]);
    expect(receiver.messages("/alertmanager").map(({ status }) => status)).toEqual(["firing"]);
    await working(work, 0, () => both("resolved"));
    await working(work, 0, () => work.rounds > 20);

    for (const path of ["/own", "/alertmanager"]) {
      const messages = receiver.messages(path);
      expect(messages.map(({ status }) => status)).toEqual(["firing", "resolved"]);
      expect(messages.map(({ alerts: sent }) => sent.length)).toEqual([1, 1]);
    }
    expect(events.map(({ status }) => status)).toEqual(["firing", "resolved"]);
    expectSameShape(receiver.messages("/own"), receiver.messages("/alertmanager"));
    await expectSameIntervals(prometheus.port);
    expect(alerts.stats()).toMatchObject({ evaluationErrors: 0, firing: 0 });
  }, 90_000);
});

interface Work {
  jobs: number;
  errors: number;
  rounds: number;
}

function collectWork(metrics: Metrics): Work {
  const work: Work = { jobs: 0, errors: 0, rounds: 0 };
  const families = component(
    counter("jobs_total", () => work.jobs),
    counter("job_errors_total", () => work.errors),
  );
  metrics.collect(families, { labels: { worker: "w1" } });
  return work;
}

/** Works with a share of errors until something is true. */
async function working(work: Work, errorShare: number, isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  work.rounds = 0;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error(`nothing came of a share of ${errorShare}`);
    work.jobs += 10;
    work.errors += 10 * errorShare;
    work.rounds += 1;
    await delay(50);
  }
}

function watch(metrics: Metrics, origin: string, events: AlertEvent[]): Alerts {
  const sink = new WebhookSink({
    url: `${origin}/own`,
    allowedOrigins: [origin],
    name: "team",
    groupWaitMs: 50,
  });
  const alerts = new Alerts(metrics, { rules: [rule], sinks: [sink], intervalMs: INTERVAL_MS });
  alerts.on("firing", (event) => events.push(event));
  alerts.on("resolved", (event) => events.push(event));
  metrics.collect(alerts);
  return alerts.start();
}

async function serve(metrics: Metrics): Promise<number> {
  const server = createServer(metrics.handler()).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function prometheusConfig(target: number, alertmanager: number): string {
  return toYaml({
    global: { scrape_interval: `${INTERVAL_MS}ms`, scrape_timeout: `${INTERVAL_MS}ms` },
    rule_files: ["rules.yaml"],
    alerting: {
      alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanager}`] }] }],
    },
    scrape_configs: [{ job_name: "app", static_configs: [{ targets: [`127.0.0.1:${target}`] }] }],
  });
}

function alertmanagerConfig(origin: string): string {
  return toYaml({
    route: {
      receiver: "team",
      group_by: ["alertname"],
      group_wait: "50ms",
      group_interval: "200ms",
      repeat_interval: "1h",
    },
    receivers: [{ name: "team", webhook_configs: [{ url: `${origin}/alertmanager` }] }],
  });
}

/** Whoever reads the one can read the other. */
function expectSameShape(own: readonly WebhookMessage[], other: readonly WebhookMessage[]): void {
  for (const [index, message] of own.entries()) {
    const theirs = other[index] as WebhookMessage;
    expect(Object.keys(message).toSorted()).toEqual(Object.keys(theirs).toSorted());
    const [alert] = message.alerts;
    const [their] = theirs.alerts;
    expect(Object.keys(alert ?? {}).toSorted()).toEqual(Object.keys(their ?? {}).toSorted());
    expect(message).toMatchObject({ version: "4", receiver: "team", truncatedAlerts: 0 });
    expect(theirs).toMatchObject({ groupLabels: message.groupLabels, groupKey: message.groupKey });
    expect(their?.labels).toMatchObject(alert?.labels ?? {});
    expect(their?.annotations["runbook_url"]).toBe(alert?.annotations["runbook_url"]);
    expect(their?.annotations["description"]).toBe("Look at the worker w1.");
    expect(alert?.annotations["description"]).toBe("Look at the worker w1.");
    expect(alert?.endsAt === "0001-01-01T00:00:00Z").toBe(message.status === "firing");
  }
}

/** What Prometheus found out itself, and what it scraped from the evaluator. */
async function expectSameIntervals(port: number): Promise<void> {
  const theirs = await firingSeconds(port, 'ALERTS{alertname="JobsFail",alertstate="firing"}');
  const own = await firingSeconds(
    port,
    'metrics_alerts{alertname="JobsFail",alertstate="firing"} > 0',
  );
  expect(theirs.length).toBeGreaterThan(0);
  // One evaluation apart at most, and one scrape until it is known; the machine may be late.
  expect(Math.abs((own[0] ?? 0) - (theirs[0] ?? 0))).toBeLessThan(1.5);
  expect(Math.abs((own.at(-1) ?? 0) - (theirs.at(-1) ?? 0))).toBeLessThan(1.5);
}

async function firingSeconds(port: number, query: string): Promise<readonly number[]> {
  const end = Date.now() / 1000;
  const parameters = { query, start: String(end - 120), end: String(end), step: "0.2" };
  const url = `http://127.0.0.1:${port}/api/v1/query_range?${new URLSearchParams(parameters).toString()}`;
  const answer = (await (await fetch(url)).json()) as {
    readonly data: { readonly result: readonly { readonly values: readonly [number, string][] }[] };
  };
  return answer.data.result.flatMap(({ values }) => values.map(([time]) => time));
}
