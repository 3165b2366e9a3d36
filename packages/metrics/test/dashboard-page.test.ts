import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canRun } from "../../../tools/services/find.ts";
import { bundleScript } from "../page/bundle.ts";
import { dashboard, listen } from "../src/dashboard.ts";
import type { AlertLike, DashboardOptions } from "../src/dashboard.ts";
import { Alerts, above, defineRule, gauge, value } from "../src/alerts.ts";
import { Metrics } from "../src/index.ts";
import { launch, program, ready, visit } from "./dashboard-browser.ts";
import type { Load } from "./dashboard-stand-in.ts";
import { CALM, OVERLOAD, TOKEN, openScene } from "./dashboard-support.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const withActions: DashboardOptions = {
  actionToken: TOKEN,
  actions: [
    {
      name: "clear-tag",
      label: "Clear by tag",
      confirm: "Clear all entries with this tag?",
      input: { label: "Tag" },
      run: (tag) => `Cleared ${tag}`,
    },
    { name: "bypass", label: "Bypass the cache", run: () => "Bypassed" },
  ],
};

describe.skipIf(!canRun("dashboard in a browser", "Chromium", program))("dashboard: page", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launch();
  });

  afterAll(async () => {
    await browser.close();
  });

  test("every panel is filled, with numbers and drawn lines, and nothing goes wrong", async () => {
    const scene = await openScene({ title: "orders", ...withActions });
    await scene.pass(600);
    const { page, trouble } = await visit(browser, scene.url);
    await ready(page);
    await scene.pass(2);
    await page.waitForTimeout(200);
    const panels = await page.evaluate(
      "[...document.querySelectorAll('.panel, .overview')].map((one) => one.dataset.panel)",
    );
    expect(panels).toEqual([
      "status",
      "tools",
      "cache",
      "pool",
      "batches",
      "process",
      "streams",
      "actions",
    ]);
    const charts = await chartStates(page);
    expect(charts).toHaveLength(18);
    for (const { title, big, drawn } of charts) {
      expect({ title, hasNumber: /\d/.test(big), hasLines: drawn > 50 }).toEqual({
        title,
        hasNumber: true,
        hasLines: true,
      });
    }
    expect(await page.locator(".tile:visible").count()).toBe(8);
    expect(await page.locator("[data-row]").count()).toBe(6);
    expect(await page.title()).toBe("orders");
    expect(trouble).toEqual([]);
  });

  test("shows the numbers of the server", async () => {
    const scene = await openScene();
    await scene.pass(20, OVERLOAD);
    const { page } = await visit(browser, scene.url);
    await ready(page);
    const tile = (key: string) => page.locator(`[data-tile="${key}"] .big`);
    expect(await tile("tools/rate").textContent()).toBe("160/s");
    expect(await tile("tools/error-share").textContent()).toBe("12.5%");
    expect(await tile("pool/waiting").textContent()).toBe("85");
    const { values } = await scene.frame();
    const p95 = await tile("tools/p95").textContent();
    expect(Number.parseFloat(p95 ?? "")).toBeCloseTo(values["tools/p95"] ?? 0, 2);
    const row = await page.locator('[data-row="fetch_page"] td').allTextContents();
    expect(row[0]).toBe("40 /s");
    expect(await page.locator('[data-fact="batches/overloads"] dd').textContent()).toBe("▲ 25 /s");
  });

  test.each([
    ["light", {}],
    ["dark", { dark: true }],
    ["narrow", { width: 360, height: 9_000 }],
    ["tables", {}],
  ])("axe finds nothing and nothing overflows: %s", async (name, options) => {
    const firing = {
      name: "Slow",
      severity: "critical",
      state: "firing",
      summary: "slow",
      since: Date.now(),
    };
    const scene = await openScene({ ...withActions, alerts: { state: () => [firing] } });
    await scene.pass(30, OVERLOAD);
    const { page, trouble } = await visit(browser, scene.url, options);
    await ready(page);
    if (name === "tables") await page.click("#tables");
    await page.evaluate(axe);
    const violations = (await page.evaluate(
      "axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(', ')))",
    )) as readonly string[];
    expect(violations).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(trouble).toEqual([]);
  });

  test("every control is reached with the Tab key and shows its focus", async () => {
    const scene = await openScene(withActions);
    await scene.pass(20);
    const { page } = await visit(browser, scene.url);
    await ready(page);
    const controls = (await page.evaluate(
      "[...document.querySelectorAll('a,button,input,select,[tabindex=\"0\"]')].filter((e) => e.checkVisibility()).length",
    )) as number;
    const seen = new Set<string>();
    for (let times = 0; times < controls; times += 1) {
      await page.keyboard.press("Tab");
      seen.add((await page.evaluate(FOCUS)) as string);
    }
    expect(seen.size).toBe(controls);
    expect([...seen].filter((one) => one.endsWith("unseen"))).toEqual([]);
    await page.locator("#theme").focus();
    await page.keyboard.press("Enter");
    expect(await page.getAttribute("html", "data-theme")).toBe("light");
  });

  test("a reload shows the history", async () => {
    const scene = await openScene();
    await scene.pass(120);
    const { page } = await visit(browser, scene.url, { script: await bundleScript("probe.ts") });
    await ready(page);
    const before = await size(page);
    await page.reload();
    await ready(page);
    expect((await size(page)).store).toBeGreaterThanOrEqual(before.store);
    expect(before.store).toBeGreaterThan(120 * 50);
  });

  test("alerts appear and clear", async () => {
    const alerts: AlertLike[] = [];
    const scene = await openScene({ alerts: { state: () => alerts } });
    await scene.pass(5);
    const { page } = await visit(browser, scene.url);
    await ready(page);
    const headline = page.locator(".headline");
    expect(await headline.textContent()).toBe("No alert is firing");
    const summary = "<img src=x onerror=alert(1)>";
    alerts.push({ name: "Hot", severity: "critical", state: "firing", summary, value: 3 });
    await scene.pass(1);
    await page.waitForSelector('[data-alert="Hot"]');
    expect(await headline.textContent()).toBe("1 alert is firing");
    expect(await page.locator('[data-alert="Hot"] .summary').textContent()).toBe(`${summary} (3)`);
    alerts.pop();
    await scene.pass(1);
    await page.waitForSelector('[data-alert="Hot"]', { state: "detached" });
    expect(await headline.textContent()).toBe("No alert is firing");
  });

  test("the alerts of this package are shown, and rules without data in one row", async () => {
    const clock = { ms: 0 };
    let source: Alerts | undefined;
    const scene = await openScene({ alerts: { state: () => source?.state() ?? [] } });
    const when = above(value(gauge("http_pool_requests_waiting")), 50);
    const silent = above(value(gauge("a_family_of_nobody")), 1);
    const rules = [
      defineRule({
        name: "PoolFull",
        severity: "critical",
        summary: "{value} wait",
        description: "d",
        when,
      }),
      defineRule({
        name: "NobodyA",
        severity: "info",
        summary: "a",
        description: "d",
        when: silent,
      }),
      defineRule({
        name: "NobodyB",
        severity: "info",
        summary: "b",
        description: "d",
        when: silent,
      }),
    ];
    using alerts = new Alerts(scene.metrics, { rules, intervalMs: 1_000, now: () => clock.ms });
    source = alerts;
    const evaluate = async (load: Load): Promise<void> => {
      clock.ms += 1_000;
      await scene.pass(1, load);
      await alerts.evaluate();
      await scene.pass(1, load);
    };
    await evaluate(OVERLOAD);
    const { page, trouble } = await visit(browser, scene.url);
    await ready(page);
    expect(await page.locator(".headline").textContent()).toBe("1 alert is firing");
    expect(await page.locator('[data-alert="PoolFull"] .summary').textContent()).toMatch(
      /^85 wait/,
    );
    expect(await page.locator('[data-alert="2 rules"] .summary').textContent()).toBe(
      "NobodyA, NobodyB",
    );
    await evaluate(CALM);
    await page.waitForSelector('[data-alert="PoolFull"]', { state: "detached" });
    expect(await page.locator(".headline").textContent()).toBe("No alert is firing");
    expect(trouble).toEqual([]);
  });

  test("an action asks first, needs its token and shows its answer", async () => {
    const scene = await openScene(withActions);
    await scene.pass(5);
    const { page } = await visit(browser, scene.url);
    await ready(page);
    const form = page.locator('[data-action="clear-tag"]');
    await form.locator("input").fill("users");
    await form.getByRole("button", { name: "Clear by tag" }).click();
    await form.getByRole("button", { name: "No" }).click();
    expect(await form.locator(".result").textContent()).toBe("");
    await form.getByRole("button", { name: "Clear by tag" }).click();
    await form.getByRole("button", { name: "Yes" }).click();
    await form.locator('.result[data-ok="false"]').waitFor();
    expect(await form.locator(".result").textContent()).toMatch(/^✗ Send the token/);
    await page.fill("#action-token", TOKEN);
    await form.getByRole("button", { name: "Clear by tag" }).click();
    await form.getByRole("button", { name: "Yes" }).click();
    await form.locator('.result[data-ok="true"]').waitFor();
    expect(await form.locator(".result").textContent()).toBe("✓ Cleared users");
  });

  test("a dashboard with a token asks for it, and not again", async () => {
    const scene = await openScene({ guard: { token: TOKEN } });
    await scene.pass(5);
    const { page, trouble } = await visit(browser, scene.url);
    await page.waitForSelector("html[data-live='token']");
    expect(trouble).toEqual([]);
    await page.fill("#token", TOKEN);
    await page.keyboard.press("Enter");
    await ready(page);
    await page.reload();
    await ready(page);
    expect(page.url()).not.toContain(TOKEN);
  });

  test("says that its data are stale when the server is gone", async () => {
    const scene = await openScene();
    await scene.pass(5);
    const { page } = await visit(browser, scene.url);
    await ready(page);
    scene.board.close();
    await page.waitForSelector("html[data-live='stale']");
    expect(await page.locator("#live-text").textContent()).toMatch(/^Stale, last news at \d/);
  });

  test("a process with nothing but itself says what it has not", async () => {
    using metrics = new Metrics();
    using board = dashboard(metrics);
    await using listener = await listen({ "/": board.handler });
    const { page, trouble } = await visit(browser, listener.url);
    await ready(page);
    expect(await page.locator(".missing:visible").allTextContents()).toEqual([
      "This process has no cache",
      "This process has no connection pool",
      "This process does not batch",
      "This process guards no streams",
    ]);
    expect(await page.locator(".headline").textContent()).toBe("No alerts are set up");
    expect(trouble).toEqual([]);
  });

  test("a day of frames makes the page no larger", async () => {
    const scene = await openScene();
    await scene.pass(10, CALM);
    const script = await bundleScript("probe.ts");
    const { page } = await visit(browser, scene.url, { height: 900, script });
    await ready(page);
    await scene.pass(1, CALM);
    const frame = await scene.frame();
    const replay = (count: number): Promise<void> =>
      page.evaluate(
        `(() => { const f = ${JSON.stringify(frame)}; globalThis.replayed ??= f.atMs;
          for (let i = 0; i < ${count}; i += 1) { const one = { ...f, atMs: (globalThis.replayed += 1000) }; (i % 60 ? dashboardKeep : dashboardReceive)(one); } })()`,
      );
    await replay(1_000);
    const first = await size(page);
    for (let hour = 0; hour < 24; hour += 1) await replay(3_600);
    const last = await size(page);
    expect(last.store).toBe(first.store);
    expect(last.plots).toBeLessThanOrEqual(first.plots);
    expect(last.nodes).toBe(first.nodes);
    expect(last.heapBytes).toBeLessThan(first.heapBytes * 1.3 + 2_000_000);
  }, 240_000);
});

interface Size {
  readonly store: number;
  readonly plots: number;
  readonly nodes: number;
  readonly heapBytes: number;
}

async function size(page: Page): Promise<Size> {
  return (await page.evaluate(`(() => { gc(); return { ...dashboardSize(), nodes: document.querySelectorAll("*").length,
    heapBytes: performance.memory.usedJSHeapSize }; })()`)) as Size;
}

interface ChartState {
  readonly title: string;
  readonly big: string;
  readonly drawn: number;
}

/** Title, big number and how many pixels carry a coloured line. */
async function chartStates(page: Page): Promise<readonly ChartState[]> {
  return await page.evaluate<
    readonly ChartState[]
  >(`[...document.querySelectorAll(".chart")].map((chart) => {
    const canvas = chart.querySelector("canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(width * 0.25, 0, width * 0.7, height * 0.9);
    let drawn = 0;
    for (let i = 0; i < data.length; i += 4) {
      const high = Math.max(data[i], data[i + 1], data[i + 2]), low = Math.min(data[i], data[i + 1], data[i + 2]);
      if (data[i + 3] > 128 && high - low > 50) drawn += 1;
    }
    return { title: chart.dataset.chart, big: chart.querySelector(".big").textContent, drawn };
  })`);
}

const FOCUS = `(() => { const e = document.activeElement; const s = getComputedStyle(e); const r = e.getBoundingClientRect();
  const all = [...document.querySelectorAll("*")];
  const visible = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.width > 1 && r.height > 1;
  return all.indexOf(e) + " " + e.tagName + (visible ? " seen" : " unseen"); })()`;
