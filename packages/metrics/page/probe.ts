import type { DashboardFrame } from "../src/dashboard-protocol.ts";
import { charts, receive, store } from "./main.ts";

// The page with a way in for its tests, which alone bundle it: what comes in, and how much the page holds.
Object.assign(globalThis, {
  dashboardReceive: receive,
  dashboardKeep: (frame: DashboardFrame) => store.push(frame),
  dashboardSize: () => ({
    store: store.points,
    plots: charts.reduce((total, chart) => total + chart.points, 0),
  }),
});
