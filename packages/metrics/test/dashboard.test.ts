import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { dashboard, listen } from "../src/dashboard.ts";
import type { DashboardFrame } from "../src/dashboard-protocol.ts";
import type { ActionRecord, DashboardAction } from "../src/dashboard.ts";
import { Sampler } from "../src/dashboard-sampler.ts";
import { Metrics } from "../src/index.ts";
import type { FamilySnapshot } from "../src/index.ts";
import { ask, raw } from "./dashboard-requests.ts";
import { StandIn } from "./dashboard-stand-in.ts";
import { CALM, OVERLOAD, TOKEN, openScene, readEvents } from "./dashboard-support.ts";

describe("dashboard: numbers", () => {
  test("rates, shares and percentiles are those of the last ten seconds", async () => {
    const scene = await openScene();
    await scene.pass(30, OVERLOAD);
    await scene.pass(11, CALM);
    const { values, panels } = await scene.frame();
    expect(panels).toEqual(["tools", "cache", "pool", "batches", "process", "streams"]);
    expect(values["tools/rate"]).toBeCloseTo(40, 6);
    expect(values["tools/errors"]).toBe(0);
    expect(values["tool/rate|fetch_page"]).toBeCloseTo(10, 6);
    expect(values["cache/hit-ratio"]).toBeCloseTo(96 / 108, 6);
    expect(values["pool/waiting"]).toBe(0);
    expect(values["pool/state|usable"]).toBe(2);
    expect(values["tools/p50"]).toBeGreaterThan(0.02);
    expect(values["tools/p99"]).toBeLessThan(0.1);
    await scene.pass(11, OVERLOAD);
    const busy = (await scene.frame()).values;
    expect(busy["tools/error-share"]).toBeCloseTo(20 / 160, 6);
    expect(busy["pool/waiting"]).toBe(85);
    expect(busy["tools/p50"]).toBeGreaterThan(0.5);
  });

  test("a call that its client cancelled is no error", async () => {
    const scene = await openScene();
    const call = { method: "tools/call", tool: "search_docs", transport: "http" } as const;
    await scene.pass(12, CALM);
    for (const errorType of ["cancelled", "cancelled", "TimeoutError"])
      scene.metrics.operations.record({ ...call, durationSeconds: 0.1, errorType });
    await scene.pass(1, CALM);
    const { values } = await scene.frame();
    expect(values["tools/rate"]).toBeCloseTo(40.3, 6);
    expect(values["tools/errors"]).toBeCloseTo(0.1, 6);
    expect(values["tool/errors|search_docs"]).toBeCloseTo(0.1, 6);
  });

  test("what there is no data of is left out, not 0", async () => {
    const scene = await openScene();
    const { values } = await scene.frame();
    expect(values).not.toHaveProperty("tools/p95");
    expect(values).not.toHaveProperty("cache/hit-ratio");
    expect(values["pool/waiting"]).toBe(0);
  });

  test("counts from before a component was collected are no rate", async () => {
    const scene = await openScene();
    await scene.pass(5);
    expect((await scene.frame()).values["cache/hits"]).toBeCloseTo(96, 6);
    using fresh = new Metrics({ runtime: false });
    using board = dashboard(fresh, { guard: false });
    await board.sample();
    const old = new StandIn(["cache_hits_total", "cache_misses_total"], []);
    old.set("cache_hits_total", 1_000_000);
    old.set("cache_misses_total", 1);
    fresh.collect(old);
    await board.sample();
    await using listener = await listen({ "/": board.handler });
    const { values } = JSON.parse(
      (await ask(listener.port, "/api/snapshot")).body,
    ) as DashboardFrame;
    expect(board.stats().failedFrames).toBe(0);
    expect(values["cache/stale-total"]).toBeUndefined();
    expect(values).not.toHaveProperty("cache/hits");
    expect(values).not.toHaveProperty("cache/hit-ratio");
  });

  test("a process with few packages has few panels", async () => {
    using metrics = new Metrics({ runtime: false });
    using board = dashboard(metrics);
    await new Promise(setImmediate);
    await board.sample();
    expect(board.stats()).toMatchObject({ failedFrames: 0, clients: 0 });
  });

  test("alerts of rules and single ones are shown, the firing ones first", async () => {
    const rule = { name: "Slow", severity: "warning", summary: "slow", state: "firing" };
    const alerts = [
      { state: "pending", labels: { tool: "a" }, value: 1 },
      { state: "firing", labels: { alertname: "Slow", tool: "b" }, startsAtMs: 5, value: 2 },
    ];
    const single = { name: "One", severity: "critical", summary: "one", state: "no-data" };
    const quiet = { name: "Quiet", severity: "info", summary: "", state: "inactive" };
    const scene = await openScene({
      alerts: { state: () => [single, quiet, { ...rule, alerts }] },
    });
    await scene.pass(1);
    const shown = (await scene.frame()).alerts;
    expect(shown.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "Slow firing",
      "Slow pending",
      "One no-data",
    ]);
    expect(shown[0]).toMatchObject({ labels: { tool: "b" }, sinceMs: 5, value: 2 });
  });

  test("alerts that cannot be read are said to be so", async () => {
    const scene = await openScene({ alerts: { state: () => fail("secret") } });
    await scene.pass(1);
    const { alerts } = await scene.frame();
    expect(alerts).toMatchObject([{ state: "no-data" }]);
    expect(JSON.stringify(alerts)).not.toContain("secret");
  });
});

describe("dashboard: history", () => {
  test("has what the frames had, so that a reload shows it", async () => {
    const scene = await openScene({ title: "orders" });
    await scene.pass(20);
    const { atMs, series, title, last } = await scene.history();
    expect(title).toBe("orders");
    expect(atMs).toHaveLength(21);
    expect(series["tools/rate"]?.at(-1)).toBeCloseTo(40, 3);
    expect(series["tools/rate"]?.[0]).toBeNull();
    expect(atMs.at(-1)).toBe(last?.atMs);
    expect(atMs.every((ms, index) => index === 0 || ms > (atMs[index - 1] ?? 0))).toBe(true);
  });

  test("never holds more series than it may, and says so", async () => {
    const scene = await openScene({ maxSeries: 5 });
    await scene.pass(3);
    expect(scene.board.stats().historyBytes).toBe(6 * 900 * 8);
    expect(Object.keys((await scene.history()).series)).toHaveLength(5);
    expect((await scene.frame()).droppedSeries).toBeGreaterThan(0);
  });
});

describe("dashboard: live stream", () => {
  test("begins with the last frame and goes on with each new one", async () => {
    const scene = await openScene();
    await scene.pass(3);
    const reading = readEvents(scene.port, 3);
    while (scene.board.stats().clients === 0) await new Promise(setImmediate);
    await scene.pass(2);
    const frames = (await reading).map((text) => JSON.parse(text) as { atMs: number });
    expect(frames[1]?.atMs).toBe((frames[0]?.atMs ?? 0) + 1_000);
    expect(frames[2]).toEqual(await scene.frame());
    while (scene.board.stats().clients > 0) await new Promise(setImmediate);
  });

  test("takes a bounded number of clients", async () => {
    const scene = await openScene({ maxClients: 2 });
    const open = [readEvents(scene.port, 5), readEvents(scene.port, 5)];
    while (scene.board.stats().clients < 2) await new Promise(setImmediate);
    expect((await ask(scene.port, "/api/stream")).status).toBe(503);
    await scene.pass(5);
    await Promise.all(open);
  });

  test("a client that does not read is dropped, the others get every frame", async () => {
    const scene = await openScene({ maxBufferedBytes: 16_384 });
    const slow = connect(scene.port, "127.0.0.1");
    onTestFinished(() => void slow.destroy());
    slow.on("error", () => undefined);
    slow.pause();
    slow.write("GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (scene.board.stats().clients < 1) await new Promise(setImmediate);
    let passed = 0;
    while (scene.board.stats().droppedClients === 0 && passed < 5_000) {
      await scene.pass(20);
      await new Promise(setImmediate);
      passed += 20;
    }
    expect(scene.board.stats()).toMatchObject({ clients: 0, droppedClients: 1 });
  });

  test("says that it is alive when a frame fails", async () => {
    const scene = await openScene();
    const answer = raw(scene.port, "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (scene.board.stats().clients < 1) await new Promise(setImmediate);
    scene.metrics.close();
    await scene.pass(1);
    expect(scene.board.stats().failedFrames).toBe(1);
    scene.board.close();
    expect(await answer).toContain(": no news");
  });
});

describe("dashboard: requests", () => {
  test("the page allows nothing from elsewhere and cannot be framed", async () => {
    const { port } = await openScene({ basePath: "/ops/dashboard" });
    const page = await ask(port, "/ops/dashboard/");
    expect(page.status).toBe(200);
    expect(page.headers).toMatchObject({
      "content-security-policy": expect.stringMatching(
        /^default-src 'none';.*frame-ancestors 'none'/,
      ),
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
    });
    expect(page.headers["content-security-policy"]).not.toContain("unsafe");
    expect(page.body).not.toMatch(/https?:|style="|<script>| on[a-z]+="/);
    const moved = await ask(port, "/ops/dashboard");
    expect(moved).toMatchObject({ status: 308, headers: { location: "/ops/dashboard/" } });
    for (const [path, type] of [
      ["app.js", "javascript"],
      ["app.css", "css"],
      ["icon.svg", "svg"],
    ]) {
      const asset = await ask(port, `/ops/dashboard/${path}`);
      expect({ status: asset.status, type: asset.headers["content-type"] }).toEqual({
        status: 200,
        type: expect.stringContaining(type as string),
      });
    }
  });

  test.each([
    "/../package.json",
    "/%2e%2e/package.json",
    "/app.js/",
    "/api/",
    "/api/history/",
    "/constructor",
    "/__proto__",
  ])("there is nothing at %s", async (path) => {
    const { port } = await openScene();
    const answer = await raw(
      port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  });

  test.each(["", "api/history", "api/stream", "api/snapshot"])("/%s is only read", async (path) => {
    const { port } = await openScene();
    const answer = await ask(port, `/${path}`, { method: "POST" });
    expect(answer).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    expect(await ask(port, `/${path}`, { method: "HEAD" })).toMatchObject({
      status: 200,
      body: "",
    });
  });

  test("with a token only the empty page is given without", async () => {
    const { port } = await openScene({ guard: { token: TOKEN } });
    const page = await ask(port, "/");
    expect(page.status).toBe(200);
    expect(page.body).toContain('data-token="needed"');
    const headers = { authorization: `Bearer ${TOKEN}` };
    for (const path of ["/api/history", "/api/snapshot"]) {
      expect((await ask(port, path)).status).toBe(401);
      expect((await ask(port, path, { headers })).status).toBe(200);
    }
    expect((await ask(port, "/api/stream")).status).toBe(401);
    expect((await ask(port, `/api/history?token=${TOKEN}`)).status).toBe(400);
  });

  test("a closed dashboard answers 503 and its stream ends", async () => {
    const scene = await openScene();
    const stream = raw(
      scene.port,
      "GET /api/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    while (scene.board.stats().clients < 1) await new Promise(setImmediate);
    scene.board.close();
    expect(await stream).toContain("200 OK");
    expect((await ask(scene.port, "/api/history")).status).toBe(503);
  });
});

describe("dashboard: actions", () => {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };

  async function act(actions: readonly DashboardAction[], more: object = {}) {
    const log: ActionRecord[] = [];
    const scene = await openScene({
      actions,
      actionToken: TOKEN,
      log: (record) => log.push(record),
      ...more,
    });
    const post = (name: string, body = "{}", own: object = headers) =>
      ask(scene.port, `/api/actions/${name}`, { method: "POST", body, headers: { ...own } });
    return { scene, post, log };
  }

  const clear: DashboardAction = {
    name: "clear-tag",
    label: "Clear",
    input: { label: "Tag", maxLength: 10 },
    run: (tag) => `cleared ${tag}`,
  };

  test("run with a token, are logged and counted", async () => {
    const { post, log, scene } = await act([clear]);
    const answer = await post("clear-tag", '{"input":"users"}');
    expect({ status: answer.status, body: JSON.parse(answer.body) as unknown }).toEqual({
      status: 200,
      body: { ok: true, message: "cleared users" },
    });
    expect(log).toMatchObject([
      { action: "clear-tag", input: "users", outcome: "done", from: "127.0.0.1" },
    ]);
    scene.metrics.collect(scene.board);
    const { body } = await scene.metrics.exposition();
    expect(body).toContain('dashboard_actions_total{action="clear-tag",outcome="done"} 1');
  });

  test("do not run without the token, from another site or by GET", async () => {
    const { post, log, scene } = await act([clear]);
    const json = { "content-type": "application/json" };
    expect((await post("clear-tag", '{"input":"a"}', json)).status).toBe(401);
    expect(
      (await post("clear-tag", '{"input":"a"}', { ...json, authorization: "Bearer wrong" })).status,
    ).toBe(401);
    expect(
      (await post("clear-tag", '{"input":"a"}', { ...headers, origin: "http://evil.example" }))
        .status,
    ).toBe(403);
    expect(
      (await post("clear-tag", '{"input":"a"}', { ...headers, "sec-fetch-site": "same-site" }))
        .status,
    ).toBe(403);
    expect((await ask(scene.port, "/api/actions/clear-tag", { headers })).status).toBe(405);
    expect(log).toEqual([]);
  });

  test.each([
    ["clear-tag", "not json", 400],
    ["clear-tag", "[]", 400],
    ["clear-tag", '{"input":5}', 400],
    ["clear-tag", "{}", 400],
    ["clear-tag", '{"input":"longer than ten"}', 400],
    ["clear-tag", `{"input":"${"x".repeat(10_000)}"}`, 413],
    ["other", '{"input":"a"}', 404],
    ["..%2fclear-tag", '{"input":"a"}', 404],
  ])("%s with the body %.30s is refused", async (name, body, status) => {
    const { post, log } = await act([clear]);
    expect((await post(name, body)).status).toBe(status);
    expect(log).toEqual([]);
  });

  test("show why they failed and never a stack", async () => {
    const { post, log } = await act([
      { name: "fail", label: "Fail", run: () => fail("no such tag\n    at secret (file.ts:1:1)") },
    ]);
    const { status, body } = await post("fail");
    expect({ status, body: JSON.parse(body) as unknown }).toEqual({
      status: 500,
      body: { ok: false, message: "no such tag" },
    });
    expect(log).toMatchObject([{ outcome: "failed" }]);
  });

  test("that hang are given up, with their signal, and stay the only one of their name", async () => {
    let aborted = false;
    const run = (_input: string, signal: AbortSignal) =>
      new Promise(() => signal.addEventListener("abort", () => (aborted = true)));
    const { post, log } = await act([{ name: "hang", label: "Hang", run }], {
      actionTimeoutMs: 20,
    });
    expect((await post("hang")).status).toBe(504);
    expect(aborted).toBe(true);
    expect(log).toMatchObject([{ outcome: "timeout" }]);
    expect((await post("hang")).status).toBe(409);
  });

  test("are limited per minute, and more are allowed as time passes", async () => {
    const { post, scene } = await act([{ name: "ping", label: "Ping", run: () => "pong" }], {
      actionsPerMinute: 3,
    });
    const statuses = [];
    for (let times = 0; times < 4; times += 1) statuses.push((await post("ping")).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    await scene.pass(21);
    expect((await post("ping")).status).toBe(200);
  });

  test("need a token to be offered at all", async () => {
    using metrics = new Metrics({ runtime: false });
    const error = expect.objectContaining({ option: "actionToken" }) as Error;
    expect(() => dashboard(metrics, { actions: [clear] })).toThrow(error);
  });
});

describe("dashboard: a day", () => {
  test("of frames, with tools and upstreams that come and go, makes it no larger", async () => {
    const scene = await openScene();
    await scene.pass(3);
    const snapshot = await scene.metrics.snapshot();
    const limits = { historyLength: 900, maxSeries: 300, maxLabels: 12, windowFrames: 10 };
    const sampler = new Sampler({ ...limits, alerts: undefined });
    const sizes: number[] = [];
    for (let second = 1; second <= 86_400; second += 1) {
      const upstream = `10.0.${Math.floor(second / 600)}.1:80`;
      const waiting = { labels: { upstream }, value: second % 7 };
      const { http_pool_requests_waiting: family } = snapshot;
      const changed = { ...(family as FamilySnapshot), samples: [waiting] };
      sampler.add(second * 1_000, { ...snapshot, http_pool_requests_waiting: changed });
      if (second % 3_600 === 0) sizes.push(sampler.ring.bytes);
    }
    expect(Math.max(...sizes.slice(4))).toBeLessThanOrEqual(Math.max(...sizes.slice(0, 4)));
    const { atMs, series } = sampler.ring.history();
    expect(atMs).toHaveLength(900);
    expect(Object.keys(series)).not.toContain("upstream/waiting|10.0.0.1:80");
    expect(series["upstream/waiting|_OTHER"]?.at(-1)).toBe(86_400 % 7);
  }, 120_000);
});

function fail(message: string): never {
  throw new Error(message);
}
