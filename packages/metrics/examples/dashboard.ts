import assert from "node:assert/strict";
import { Metrics } from "@mcp-accel/metrics";
import { dashboard, listen } from "@mcp-accel/metrics/dashboard";

const token = "a-token-of-at-least-16-characters";
const metrics = new Metrics();
const cleared: string[] = [];

const board = dashboard(metrics, {
  title: "orders",
  basePath: "/dashboard",
  actionToken: token,
  actions: [
    {
      name: "clear-tag",
      label: "Clear by tag",
      confirm: "Clear all entries with this tag?",
      input: { label: "Tag" },
      run: (tag) => {
        cleared.push(tag);
        return `Cleared ${tag}`;
      },
    },
  ],
  log: ({ action, input, outcome }) => console.log(`${action} ${input}: ${outcome}`),
});
metrics.collect(board);

// Loopback only: another address would ask for a token in both guards.
const listener = await listen({ "/metrics": metrics.handler(), "/dashboard": board.handler });
const page = await fetch(`${listener.url}/dashboard/`);
assert.equal(page.status, 200);
assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);

const url = `${listener.url}/dashboard/api/actions/clear-tag`;
const headers = { "content-type": "application/json" };
const body = JSON.stringify({ input: "users" });
assert.equal((await fetch(url, { method: "POST", headers, body })).status, 401);

const authorization = `Bearer ${token}`;
const done = await fetch(url, { method: "POST", headers: { ...headers, authorization }, body });
assert.deepEqual(await done.json(), { ok: true, message: "Cleared users" });
assert.deepEqual(cleared, ["users"]);

const scrape = await (await fetch(`${listener.url}/metrics`)).text();
assert.match(scrape, /dashboard_actions_total\{action="clear-tag",outcome="done"\} 1/);

board.close();
metrics.close();
await listener.close();
