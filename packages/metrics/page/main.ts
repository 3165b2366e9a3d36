import type { DashboardFrame, DashboardHistory } from "../src/dashboard-protocol.ts";
import { ActionPanel } from "./actions.ts";
import { AlertList } from "./alerts.ts";
import type { Chart } from "./chart.ts";
import { byId, element, setText } from "./dom.ts";
import { clock, duration } from "./format.ts";
import { PANEL_SPECS } from "./layout.ts";
import { Panel } from "./panel.ts";
import { Store } from "./store.ts";
import { Stream } from "./stream.ts";
import type { Connection } from "./stream.ts";
import { themeSwitch } from "./theme.ts";
import { Tiles } from "./tiles.ts";

const STALE_MS = 3_500;

export const store: Store = new Store();
const alerts = new AlertList();
const tiles = new Tiles(store);
const panels = PANEL_SPECS.map((spec) => ({ name: spec.panel, panel: new Panel(spec, store) }));
export const charts: readonly Chart[] = panels.flatMap(({ panel }) => panel.charts);
const uptime = element("p", { class: "uptime" });
let connection: Connection = "connecting";
let lastFrame = performance.now();

const stream = new Stream({
  history: load,
  frame: receive,
  connection: (state) => {
    connection = state;
    showConnection();
  },
});
const actions = new ActionPanel(stream);
const token = tokenForm();

const statusTitle = element("h2", { class: "unseen", text: "Status" });
byId("main").append(
  token,
  element(
    "section",
    { class: "overview", attributes: { "data-panel": "status" } },
    statusTitle,
    alerts.root,
    tiles.root,
  ),
  ...panels.map(({ panel }) => panel.root),
  actions.root,
  element("footer", { class: "foot" }, uptime),
);
themeSwitch(byId("theme"), () => {
  for (const chart of charts) chart.restyle();
  tiles.update();
});
byId("tables").addEventListener("click", () => {
  const shown = byId("tables").getAttribute("aria-pressed") !== "true";
  byId("tables").setAttribute("aria-pressed", String(shown));
  for (const chart of charts) chart.showTable(shown);
});
setInterval(showConnection, 1_000);
document.addEventListener("visibilitychange", () => render());
void stream.run();

function load(history: DashboardHistory): void {
  document.title = history.title;
  setText(byId("title"), history.title);
  store.load(history);
  actions.load(history);
  lastFrame = performance.now();
  render();
}

export function receive(frame: DashboardFrame): void {
  if (!store.push(frame)) return;
  lastFrame = performance.now();
  render();
  showConnection();
}

function render(): void {
  const { frame } = store;
  // A page that nobody sees only keeps its data up to date.
  if (frame === undefined || document.hidden) return;
  alerts.update(frame);
  tiles.update();
  for (const { name, panel } of panels) panel.update(frame.panels.includes(name));
  const started = store.now("process/start");
  const up = started === undefined ? "" : `Up for ${duration(frame.atMs - started * 1000)}. `;
  const dropped = frame.droppedSeries > 0 ? ` ${frame.droppedSeries} series had no room.` : "";
  setText(
    uptime,
    `${up}Rates and percentiles are over 10 seconds, charts over 15 minutes.${dropped}`,
  );
  document.documentElement.dataset["ready"] = "true";
}

function showConnection(): void {
  const { frame } = store;
  const silentMs = performance.now() - lastFrame;
  const stale = frame !== undefined && (connection === "lost" || silentMs > STALE_MS);
  const state = connection === "token" ? "token" : stale ? "stale" : connection;
  document.documentElement.dataset["live"] = state;
  token.hidden = state !== "token";
  setText(byId("live-text"), liveText(state, frame));
}

function liveText(state: string, frame: DashboardFrame | undefined): string {
  if (state === "stale" && frame !== undefined) return `Stale, last news at ${clock(frame.atMs)}`;
  if (state === "token") return "A token is needed";
  if (state === "lost") return "Not reachable, trying again";
  return state === "live" ? "Live" : "Connecting";
}

function tokenForm(): HTMLElement {
  const input = element("input", {
    attributes: { type: "password", id: "token", autocomplete: "off" },
  });
  const button = element("button", { text: "Open", attributes: { type: "submit" } });
  const label = element("label", { text: "Token", attributes: { for: "token" } });
  const submit = (event: Event): void => {
    event.preventDefault();
    if (input.value !== "") stream.setToken(input.value);
    input.value = "";
  };
  const field = element("p", { class: "field" }, label, input, button);
  const form = element("form", { class: "token", on: { submit } }, field);
  form.hidden = true;
  return form;
}
