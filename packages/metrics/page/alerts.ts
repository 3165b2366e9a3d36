import type { AlertView, DashboardFrame } from "../src/dashboard-protocol.ts";
import { element, setText } from "./dom.ts";
import { clock, duration } from "./format.ts";

const SYMBOLS: Readonly<Record<string, string>> = {
  firing: "▲",
  pending: "◆",
  "no-data": "?",
  calm: "●",
  unwatched: "○",
};
const STATES: Readonly<Record<string, string>> = {
  firing: "Firing",
  pending: "Pending",
  "no-data": "No data",
};

/** Says whether all is well, and what is not. */
export class AlertList {
  readonly root: HTMLElement;
  readonly #symbol = element("span", { class: "symbol", attributes: { "aria-hidden": "true" } });
  readonly #headline = element("p", { class: "headline", attributes: { role: "status" } });
  readonly #list = element("ul", { class: "alerts" });
  #rows = new Map<string, Row>();

  constructor() {
    const head = element("div", { class: "verdict" }, this.#symbol, this.#headline);
    this.root = element("div", { class: "status" }, head, this.#list);
  }

  update({ alerts, atMs, watched }: DashboardFrame): void {
    const firing = alerts.filter(({ state }) => state === "firing").length;
    const pending = alerts.filter(({ state }) => state === "pending").length;
    const state = watched ? stateOf(firing, pending) : "unwatched";
    this.root.dataset["state"] = state;
    setText(this.#symbol, SYMBOLS[state] ?? "");
    setText(this.#headline, watched ? headline(firing, pending) : "No alerts are set up");
    const rows = new Map<string, Row>();
    for (const alert of together(alerts)) {
      const key = JSON.stringify([alert.name, alert.labels]);
      const row = this.#rows.get(key) ?? new Row();
      row.update(alert, atMs);
      rows.set(key, row);
    }
    const changed = [...rows.keys()].join() !== [...this.#rows.keys()].join();
    this.#rows = rows;
    if (changed) this.#list.replaceChildren(...[...rows.values()].map(({ root }) => root));
  }
}

class Row {
  readonly root: HTMLElement = element("li");
  readonly #state = element("span", { class: "state" });
  readonly #name = element("span", { class: "alert-name" });
  readonly #summary = element("span", { class: "summary" });
  readonly #since = element("span", { class: "since" });

  constructor() {
    this.root.append(this.#state, this.#name, this.#summary, this.#since);
  }

  update(
    { name, severity, state, summary, labels, sinceMs, value }: AlertView,
    atMs: number,
  ): void {
    this.root.dataset["state"] = state;
    this.root.dataset["alert"] = name;
    setText(
      this.#state,
      [`${SYMBOLS[state] ?? ""} ${STATES[state] ?? state}`, severity]
        .filter((text) => text !== "")
        .join(", "),
    );
    const of = Object.entries(labels)
      .map(([key, text]) => `${key}=${text}`)
      .join(" ");
    setText(this.#name, of === "" ? name : `${name} ${of}`);
    setText(
      this.#summary,
      value === undefined ? summary : `${summary} (${Number(value.toPrecision(4))})`,
    );
    setText(
      this.#since,
      sinceMs === undefined ? "" : `since ${clock(sinceMs)}, ${duration(atMs - sinceMs)}`,
    );
  }
}

/** Rules without data in one row: in a process with few of the packages many have none, and that is no trouble. */
function together(alerts: readonly AlertView[]): readonly AlertView[] {
  const silent = alerts.filter(({ state }) => state === "no-data");
  if (silent.length < 2) return alerts;
  const names = silent.map(({ name }) => name).join(", ");
  const name = `${silent.length} rules`;
  const row = { name, severity: "", state: "no-data", summary: names, labels: {} } as const;
  return [...alerts.filter(({ state }) => state !== "no-data"), row];
}

function stateOf(firing: number, pending: number): "firing" | "pending" | "calm" {
  if (firing > 0) return "firing";
  return pending > 0 ? "pending" : "calm";
}

function headline(firing: number, pending: number): string {
  if (firing > 0) return firing === 1 ? "1 alert is firing" : `${firing} alerts are firing`;
  if (pending > 0) return pending === 1 ? "1 alert is pending" : `${pending} alerts are pending`;
  return "No alert is firing";
}
