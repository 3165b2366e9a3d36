import { expect, test } from "vitest";
import { ConnectionPool, PoolAgent } from "../src/index.ts";
import type { HistogramFamily, MetricFamily, ScalarFamily } from "../src/index.ts";
import { text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

type AnyHistogram = HistogramFamily<unknown>;

function scalars(families: readonly MetricFamily[]): ScalarFamily[] {
  return families.filter((family) => family.type !== "histogram");
}

function histograms(families: readonly MetricFamily[]): AnyHistogram[] {
  return families.filter((family) => family.type === "histogram");
}

function values(families: readonly MetricFamily[], type: string): Map<string, number> {
  const found = scalars(families).filter((family) => family.type === type);
  return new Map(
    found.flatMap((family) =>
      family
        .read()
        .map(({ value, labels }) => [`${family.name}${JSON.stringify(labels)}`, value] as const),
    ),
  );
}

test("names are legal and prefixed, units are base units, counters end in _total", () => {
  const families = new ConnectionPool("http://localhost").metricFamilies();
  const names = families.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type, unit, help, labels } of families) {
    expect(name).toMatch(/^http_pool_[a-z0-9_]+$/);
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(["", "seconds", "ratio"]).toContain(unit);
    expect(unit === "" || name.endsWith(`_${unit}`)).toBe(true);
    expect(help).not.toBe("");
    expect(labels[0]).toBe("upstream");
  }
});

test("labels emitted are the labels declared, and counters never fall", async () => {
  await using server = await new TestServer().start();
  await using other = await new TestServer().start();
  await using agent = new PoolAgent({ maxOrigins: 1 });
  const families = agent.metricFamilies();
  let before = new Map<string, number>();
  for (const { origin } of [server, other, server, other]) {
    await text(agent.fetch(origin));
    const after = values(families, "counter");
    for (const [key, value] of before) expect(after.get(key) ?? -1).toBeGreaterThanOrEqual(value);
    before = after;
  }
  for (const family of scalars(families)) {
    const samples = family.read();
    expect(samples.length).toBeGreaterThan(0);
    for (const sample of samples) {
      expect(Object.keys(sample.labels ?? {})).toEqual(family.labels);
      expect(Number.isFinite(sample.value)).toBe(true);
    }
  }
  const upstreams = scalars(families)[0]
    ?.read()
    .map(({ labels }) => labels?.["upstream"]);
  expect(upstreams?.toSorted()).toEqual([server.origin, "_OTHER"].toSorted());
});

test("histograms are fed from events, with bounded labels, in seconds", async () => {
  await using server = await new TestServer().start();
  await using other = await new TestServer().start();
  await using agent = new PoolAgent({ maxOrigins: 1 });
  const fed = new Map<string, { value: number; labels: Readonly<Record<string, string>> }[]>();
  for (const family of histograms(agent.metricFamilies())) {
    const samples: { value: number; labels: Readonly<Record<string, string>> }[] = [];
    fed.set(family.name, samples);
    expect(family.buckets).toEqual(family.buckets.toSorted((a, b) => a - b));
    agent.on(family.event, (event: unknown) => {
      const labels = family.labelsOf?.(event) ?? {};
      expect(Object.keys(labels)).toEqual(family.labels);
      samples.push({ value: family.value(event), labels });
    });
  }
  await text(agent.fetch(`${server.origin}/?secret=1`));
  await text(agent.fetch(other.origin));
  expect([...fed.keys()]).toEqual([
    "http_pool_connect_duration_seconds",
    "http_pool_wait_duration_seconds",
    "http_pool_request_duration_seconds",
  ]);
  for (const samples of fed.values()) {
    expect(samples.map(({ labels }) => labels["upstream"])).toEqual([server.origin, "_OTHER"]);
    for (const { value } of samples) expect(value).toBeLessThan(5);
  }
});

test("a listener that throws does not harm the pool", async () => {
  await using server = await new TestServer().start();
  await using pool = new ConnectionPool(server.origin);
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  pool.on("request", () => {
    throw new Error("a listener's own");
  });
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  expect(await warned).toMatchObject({
    name: "HttpPoolWarning",
    code: "HTTP_POOL_LISTENER",
    message: 'a listener of "request" threw: a listener\'s own',
  });
  expect(pool.stats()).toMatchObject({ active: 0, requests: 2 });
});
