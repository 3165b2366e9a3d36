import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BatchProcessor } from "@mcp-accel/batcher";
import { EventCache } from "@mcp-accel/cache-events";
import { PoolAgent, UpstreamGroup } from "@mcp-accel/http-pool";
import { Metrics } from "@mcp-accel/metrics";
import {
  Alerts,
  above,
  dashboardGroups,
  defaultRules,
  defineRule,
  familyReferences,
  gauge,
  value,
} from "@mcp-accel/metrics/alerts";
import type { AlertRule } from "@mcp-accel/metrics/alerts";
import { MemoryMonitor, ResourcePool, StreamGuard } from "@mcp-accel/stream-guard";
import { describe, expect, onTestFinished, test } from "vitest";

interface Family {
  readonly type: string;
  readonly labels: ReadonlySet<string>;
}

type Component = Parameters<Metrics["collect"]>[0];

const MINUTE_MS = 60_000;

/** One of everything that describes metrics, collected together. */
async function everything(): Promise<{
  metrics: Metrics;
  cache: EventCache;
  families: Map<string, Family>;
}> {
  const metrics = new Metrics();
  const cache = new EventCache();
  const alerts = new Alerts(metrics, { rules: [] });
  const agent = new PoolAgent();
  const group = new UpstreamGroup(["http://127.0.0.1:9"]);
  const guard = new StreamGuard();
  const batcher = new BatchProcessor(async (items: readonly number[]) => [...items]);
  onTestFinished(async () => {
    alerts.close();
    metrics.close();
    await Promise.all([cache.close(), agent.destroy(), group.destroy(), batcher.close()]);
    await guard[Symbol.asyncDispose]();
  });
  const pool = new ResourcePool({ name: "exports", capacity: 1 });
  const parts = { cache, agent, group, guard, monitor: new MemoryMonitor(), pool, batcher, alerts };
  const families = new Map<string, Family>();
  for (const [name, part] of Object.entries(parts)) {
    const component = part as unknown as Component;
    metrics.collect(component, { labels: { component: name } });
    for (const { name: family, type, labels } of component.metricFamilies()) {
      families.set(family, { type, labels: new Set(labels) });
    }
  }
  await addOwn(metrics, families);
  return { metrics, cache, families };
}

/** The families of operations and of the process: their labels are those of their samples. */
async function addOwn(metrics: Metrics, families: Map<string, Family>): Promise<void> {
  metrics.operations.record({
    method: "tools/call",
    tool: "x",
    durationSeconds: 1,
    errorType: "tool_error",
    transport: "stdio",
    protocolVersion: "2025-11-25",
  });
  for (const { name, type, labels } of metrics.metricFamilies()) {
    families.set(name, { type, labels: new Set(labels) });
  }
  await collectGarbage(metrics);
  for (const [name, { type, samples }] of Object.entries(await metrics.snapshot())) {
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    if (!families.has(name)) families.set(name, { type, labels });
  }
}

/** Until it has been measured. */
async function collectGarbage(metrics: Metrics): Promise<void> {
  const name = "nodejs_gc_duration_seconds";
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 1000; turn += 1) {
    collect();
    await setImmediate();
    const { [name]: family } = await metrics.snapshot(new Set([name]));
    if ((family?.samples.length ?? 0) > 0) return;
  }
  throw new Error("no garbage collection was measured");
}

function unknown(
  references: ReturnType<typeof familyReferences>,
  families: ReadonlyMap<string, Family>,
): readonly unknown[] {
  return references.filter(({ family, type, labels }) => {
    const found = families.get(family);
    return found?.type !== type || !labels.every((label) => found.labels.has(label));
  });
}

function ruleOver(by: string, of: Parameters<typeof value>[0]): AlertRule {
  return defineRule({
    name: "Over",
    severity: "info",
    summary: "x",
    description: "x",
    by: [by],
    when: above(value(of), 0),
  });
}

describe("alerts: the default rules and the dashboard, over the real components", () => {
  test("every family they read is described with that type and these labels", async () => {
    const { families } = await everything();
    const references = familyReferences(defaultRules(), dashboardGroups);
    expect(references.length).toBeGreaterThan(60);
    expect(unknown(references, families)).toEqual([]);
  });

  test("a family with another name, type or label is found", async () => {
    const { families } = await everything();
    for (const wrong of [
      ruleOver("cache", gauge("cache_entry")),
      ruleOver("cache", gauge("cache_hits_total")),
      ruleOver("caches", gauge("cache_entries")),
      ruleOver("cache", gauge("cache_entries", { namespace: "x" })),
    ]) {
      expect(unknown(familyReferences([wrong]), families)).toHaveLength(1);
    }
    expect(
      unknown(familyReferences([ruleOver("cache", gauge("cache_entries"))]), families),
    ).toEqual([]);
  });

  test("a cache that misses makes CacheHitRatioLow fire, and one that hits resolves it", async () => {
    const { metrics, cache } = await everything();
    let clockMs = 0;
    const alerts = new Alerts(metrics, {
      rules: defaultRules(),
      now: () => clockMs,
      intervalMs: MINUTE_MS,
    });
    const said: string[] = [];
    alerts.on("firing", ({ name }) => said.push(`${name} firing`));
    alerts.on("resolved", ({ name }) => said.push(`${name} resolved`));
    let key = 0;
    const minutes = async (count: number, isNew: boolean): Promise<void> => {
      for (let minute = 0; minute < count; minute += 1) {
        for (let read = 0; read < 50; read += 1) {
          if (isNew) key += 1;
          await cache.getOrSet(`key ${key}`, async () => key);
        }
        clockMs += MINUTE_MS;
        await alerts.evaluate();
      }
    };
    await minutes(12, true);
    expect(said).toEqual(["CacheHitRatioLow firing"]);
    await minutes(12, false);
    expect(said).toEqual(["CacheHitRatioLow firing", "CacheHitRatioLow resolved"]);
    const states = Object.fromEntries(alerts.state().map(({ name, state }) => [name, state]));
    expect(states).toMatchObject({
      CacheHitRatioLow: "inactive",
      CacheStaleIncident: "inactive",
      ConnectionReuseLow: "no-data",
      FastTierSlow: "no-data",
      MemoryHigh: "inactive",
      BatchEfficiencyLow: "no-data",
      UpstreamEjected: "inactive",
    });
    alerts.close();
  });
});
