import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ConnectionPool, UpstreamGroup } from "../src/index.ts";
import type { MetricFamily, ScalarFamily } from "../src/index.ts";
import { text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

function scalars(families: readonly MetricFamily[]): ScalarFamily[] {
  return families.filter((family) => family.type !== "histogram");
}

test("a group has the metrics of its pools and its own, named and labelled as declared", async () => {
  await using server = await new TestServer().start();
  await using other = await new TestServer().start();
  await using group = new UpstreamGroup([server.origin, other.origin], { balance: "round-robin" });
  await text(group.fetch(group.origin));
  await text(group.fetch(group.origin));
  const families = group.metricFamilies();
  const names = families.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name } of new ConnectionPool(server.origin).metricFamilies())
    expect(names).toContain(name);
  for (const family of scalars(families)) {
    expect(family.name.endsWith("_total")).toBe(family.type === "counter");
    const samples = family.read();
    expect(samples.length).toBeGreaterThan(0);
    for (const { labels, value } of samples) {
      expect(Object.keys(labels ?? {})).toEqual(family.labels);
      expect(Number.isFinite(value)).toBe(true);
    }
  }
  const calls = scalars(families).find(({ name }) => name === "http_pool_group_calls_total");
  expect(calls?.read()).toEqual([{ value: 2 }]);
  const states = scalars(families).find(({ name }) => name === "http_pool_group_upstreams");
  expect(states?.read()[0]).toEqual({ value: 2, labels: { state: "usable" } });
});

test("upstreams beyond the first ones share a label, and counters never fall, however many come and go", async () => {
  await using server = await new TestServer().start();
  await using group = new UpstreamGroup([server.origin], { maxUpstreams: 2 });
  await using other = await new TestServer().start();
  let before = 0;
  for (let port = 1; port <= 20; port += 1) {
    const origin = `http://127.0.0.1:${port}`;
    group.add(origin);
    const upstreams = scalars(group.metricFamilies())
      .flatMap((family) => family.read())
      .flatMap(({ labels }) => labels?.["upstream"] ?? []);
    expect(new Set(upstreams).size).toBeLessThanOrEqual(3);
    await group.remove(origin);
    group.add(other.origin);
    await text(group.fetch(group.origin));
    await text(group.fetch(group.origin));
    await group.remove(other.origin);
    const family = scalars(group.metricFamilies()).find(
      ({ name }) => name === "http_pool_requests_total",
    );
    const total = family?.read().reduce((sum, { value }) => sum + value, 0) ?? 0;
    expect(total).toBe(before + 2);
    before = total;
  }
});

test("the README names every metric and every event of a group", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  await using group = new UpstreamGroup(["http://127.0.0.1:1"]);
  for (const { name } of group.metricFamilies()) expect(readme).toContain(`\`${name}\``);
  for (const event of ["eject", "readmit", "circuit", "panic", "retry", "hedge"])
    expect(readme).toContain(`| \`${event}\` `);
});

test("events of the pools are relayed while somebody listens, those added later included", async () => {
  await using server = await new TestServer().start();
  await using other = await new TestServer().start();
  await using group = new UpstreamGroup([server.origin], { balance: "round-robin" });
  const opened: string[] = [];
  const listener = ({ upstream }: { upstream: string }): void => void opened.push(upstream);
  group.on("open", listener);
  group.add(other.origin);
  const open = times(group, "open", 2);
  while (opened.length < 2) await text(group.fetch(group.origin));
  await open;
  group.off("open", listener);
  expect(new Set(opened)).toEqual(new Set([server.origin, other.origin]));
});
