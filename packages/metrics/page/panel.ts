import { Chart } from "./chart.ts";
import { element, setText } from "./dom.ts";
import { NOTHING, format } from "./format.ts";
import type { FactSpec, PanelSpec, TableSpec } from "./layout.ts";
import { drawSpark } from "./spark.ts";
import type { Store } from "./store.ts";

/** One section of the page. It says so when the process has nothing for it. */
export class Panel {
  readonly root: HTMLElement;
  readonly charts: readonly Chart[];
  readonly #spec: PanelSpec;
  readonly #store: Store;
  readonly #facts = element("dl", { class: "facts" });
  readonly #body: HTMLElement;
  readonly #missing: HTMLElement;
  readonly #table: LabelTable | undefined;
  #factKeys = "";

  constructor(spec: PanelSpec, store: Store) {
    this.#spec = spec;
    this.#store = store;
    this.charts = spec.charts.map((chart) => new Chart(chart, store));
    this.#table = spec.table === undefined ? undefined : new LabelTable(spec.table, store);
    const id = `panel-${spec.panel}`;
    this.#missing = element("p", { class: "missing", text: spec.missing });
    const charts = element("div", { class: "charts" }, ...this.charts.map(({ root }) => root));
    this.#body = element("div", {}, this.#facts, this.#table?.root, charts);
    const head = element(
      "div",
      { class: "panel-head" },
      element("h2", { text: spec.title, attributes: { id } }),
      this.#missing,
    );
    this.root = element(
      "section",
      { class: "panel", attributes: { "aria-labelledby": id, "data-panel": spec.panel } },
      head,
      this.#body,
    );
  }

  update(present: boolean): void {
    this.#missing.hidden = present;
    this.#body.hidden = !present;
    if (!present) return;
    this.#updateFacts();
    this.#table?.update();
    for (const chart of this.charts) chart.update();
  }

  #updateFacts(): void {
    const facts = this.#spec.facts.flatMap((spec) => factsOf(spec, this.#store));
    const keys = facts.map(({ key }) => key).join();
    if (keys !== this.#factKeys) {
      this.#factKeys = keys;
      const items = facts.map(({ key, label }) =>
        element(
          "div",
          { attributes: { "data-fact": key } },
          element("dt", { text: label }),
          element("dd"),
        ),
      );
      this.#facts.replaceChildren(...items);
    }
    for (const [index, { key, unit, badAbove }] of facts.entries()) {
      const item = this.#facts.children[index];
      const target = item?.querySelector("dd");
      if (!(item instanceof HTMLElement) || target === null || target === undefined) continue;
      const value = this.#store.now(key);
      const bad = badAbove !== undefined && value !== undefined && value > badAbove;
      item.dataset["bad"] = String(bad);
      setText(target, `${bad ? "▲ " : ""}${format(value, unit)}`);
    }
  }
}

interface Fact extends FactSpec {
  readonly key: string;
}

function factsOf(spec: FactSpec, store: Store): readonly Fact[] {
  if (spec.each === true) {
    return store
      .labels(spec.key)
      .map((name) => ({ ...spec, key: `${spec.key}|${name}`, label: spec.label + name }));
  }
  return store.column(spec.key) === undefined ? [] : [spec];
}

/** A row for each value of a label, its numbers in columns. */
class LabelTable {
  readonly root: HTMLElement;
  readonly #spec: TableSpec;
  readonly #store: Store;
  readonly #body = element("tbody");
  #names: readonly string[] = [];

  constructor(spec: TableSpec, store: Store) {
    this.#spec = spec;
    this.#store = store;
    const titles = [spec.name, ...spec.columns.map(({ title }) => title), "Last 2 minutes"];
    const header = titles.map((text) => element("th", { text, attributes: { scope: "col" } }));
    const table = element(
      "table",
      { class: "labels" },
      element("caption", { text: spec.caption }),
      element("thead", {}, element("tr", {}, ...header)),
      this.#body,
    );
    // What can be scrolled must be reachable by keyboard.
    const attributes = { tabindex: "0", role: "region", "aria-label": spec.caption };
    this.root = element("div", { class: "scroll", attributes }, table);
  }

  update(): void {
    const { columns, spark } = this.#spec;
    const names = [
      ...new Set(columns.flatMap(({ measure }) => this.#store.labels(measure))),
    ].toSorted();
    if (names.join("\n") !== this.#names.join("\n")) this.#rebuild(names);
    this.root.hidden = names.length === 0;
    for (const [row, name] of names.entries()) {
      const cells = this.#body.rows[row]?.cells;
      if (cells === undefined) continue;
      for (const [column, { measure, unit }] of columns.entries()) {
        const cell = cells[column + 1];
        if (cell !== undefined) setText(cell, format(this.#store.now(`${measure}|${name}`), unit));
      }
      const canvas = cells[columns.length + 1]?.querySelector("canvas");
      if (canvas) drawSpark(canvas, this.#store.column(`${spark}|${name}`));
    }
  }

  #rebuild(names: readonly string[]): void {
    this.#names = names;
    const rows = names.map((name) =>
      element(
        "tr",
        { attributes: { "data-row": name } },
        element("th", { text: name, attributes: { scope: "row" } }),
        ...this.#spec.columns.map(() => element("td", { text: NOTHING })),
        element(
          "td",
          { class: "spark-cell" },
          element("canvas", { class: "spark", attributes: { "aria-hidden": "true" } }),
        ),
      ),
    );
    this.#body.replaceChildren(...rows);
  }
}
