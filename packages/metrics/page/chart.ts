import uPlot from "uplot";
import { element, lineMark, setText } from "./dom.ts";
import { NOTHING, format, quantity } from "./format.ts";
import type { Unit } from "./format.ts";
import type { ChartSpec } from "./layout.ts";
import type { Column, Store } from "./store.ts";
import { COLOURS, colour, dashOf } from "./theme.ts";

const HEIGHT = 168;
const AXIS_WIDTH = 64;
const MAX_LINES = 12;
/** Steps of an axis of bytes. */
const BYTE_STEPS = Array.from({ length: 41 }, (_, power) => 2 ** power);
const SPAN_SECONDS = 900;
const FONT = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

interface Line {
  readonly key: string;
  readonly label: string;
}

/** A chart, its legend with the current values, and the table that says the same. */
export class Chart {
  readonly root: HTMLElement;
  readonly #spec: ChartSpec;
  readonly #store: Store;
  readonly #area = element("div", { class: "plot" });
  readonly #big = element("span", { class: "number" });
  readonly #unit = element("span", { class: "unit" });
  readonly #legend = element("ul", { class: "legend" });
  readonly #table: SeriesTable;
  #plot: uPlot | undefined;
  #lines: readonly Line[] = [];
  #values: Element[] = [];
  #visible = true;

  constructor(spec: ChartSpec, store: Store) {
    this.#spec = spec;
    this.#store = store;
    this.#table = new SeriesTable(spec.title, spec.unit);
    const head = element("div", { class: "chart-head" }, element("h3", { text: spec.title }));
    if (spec.big !== "") head.append(element("p", { class: "big" }, this.#big, this.#unit));
    const toggle = element("button", {
      class: "quiet",
      text: "Table",
      attributes: { type: "button", "aria-pressed": "false", "aria-label": `Table: ${spec.title}` },
      on: { click: () => this.showTable(this.root.dataset["table"] !== "shown") },
    });
    this.#area.setAttribute("aria-hidden", "true");
    const foot = element("div", { class: "chart-foot" }, this.#legend, toggle);
    this.root = element(
      "section",
      { class: "chart", attributes: { "data-chart": spec.title } },
      head,
      this.#area,
      this.#table.root,
      foot,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#area);
    new IntersectionObserver(([entry]) => this.#seen(entry?.isIntersecting === true), {
      rootMargin: "200px",
    }).observe(this.root);
  }

  showTable(shown: boolean): void {
    if (shown) this.root.dataset["table"] = "shown";
    else delete this.root.dataset["table"];
    this.root.querySelector("button")?.setAttribute("aria-pressed", String(shown));
    this.#table.root.tabIndex = shown ? 0 : -1;
  }

  /** Points the plot holds. */
  get points(): number {
    return this.#plot?.data.reduce((total, column) => total + column.length, 0) ?? 0;
  }

  update(): void {
    const lines = linesOf(this.#spec, this.#store);
    if (!sameLines(lines, this.#lines)) this.#rebuild(lines);
    const columns = lines.map(({ key }) => this.#store.column(key) ?? []);
    for (const [index, { key }] of lines.entries()) {
      const cell = this.#values[index];
      if (cell !== undefined) setText(cell, format(this.#store.now(key), this.#spec.unit));
    }
    if (this.#spec.big !== "") {
      const { number, unit } = quantity(this.#store.now(this.#spec.big), this.#spec.unit);
      setText(this.#big, number);
      setText(this.#unit, unit);
    }
    this.#table.update(
      lines.map(({ label }) => label),
      columns,
    );
    if (this.#visible) this.#draw(columns);
  }

  /** Colours are read once by a plot. */
  restyle(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#rebuild(lines);
    this.update();
  }

  #draw(columns: readonly Column[]): void {
    const plot = this.#plot;
    if (plot === undefined) return;
    const { times } = this.#store;
    plot.setData([times, ...columns.map((column) => pad(column, times.length))], false);
    const end = times.at(-1) ?? Date.now() / 1000;
    plot.setScale("x", { min: end - SPAN_SECONDS, max: end });
  }

  #rebuild(lines: readonly Line[]): void {
    this.#lines = lines;
    this.#plot?.destroy();
    this.#plot = new uPlot(options(this.#spec.unit, lines, this.#width()), [[]], this.#area);
    this.#values = lines.map(() => element("span", { class: "value", text: NOTHING }));
    const items = lines.map(({ label }, index) =>
      element(
        "li",
        {},
        lineMark(index % COLOURS, dashOf(index)),
        element("span", { class: "name", text: label }),
        this.#values[index],
      ),
    );
    this.#legend.replaceChildren(...items);
    this.root.dataset["empty"] = String(lines.length === 0);
  }

  #seen(visible: boolean): void {
    const appeared = visible && !this.#visible;
    this.#visible = visible;
    if (appeared) this.update();
  }

  #resize(): void {
    const width = this.#width();
    if (this.#plot !== undefined && width > 0 && this.#plot.width !== width) {
      this.#plot.setSize({ width, height: HEIGHT });
    }
  }

  #width(): number {
    return Math.max(120, Math.floor(this.#area.clientWidth));
  }
}

/** What a chart shows, for eyes that would rather read, and for those that cannot see. */
class SeriesTable {
  readonly root: HTMLElement;
  readonly #unit: Unit;
  readonly #body = element("tbody");
  #names: readonly string[] = [];

  constructor(title: string, unit: Unit) {
    this.#unit = unit;
    const titles = ["Now", "5 min ago", "Lowest", "Highest"];
    const header = element(
      "tr",
      {},
      element("th", { text: "Series", attributes: { scope: "col" } }),
      ...titles.map((text) => element("th", { text, attributes: { scope: "col" } })),
    );
    const table = element(
      "table",
      {},
      element("caption", { text: `${title}, last 15 minutes` }),
      element("thead", {}, header),
      this.#body,
    );
    // What can be scrolled must be reachable by keyboard.
    const attributes = { role: "region", tabindex: "-1", "aria-label": `Table of ${title}` };
    this.root = element("div", { class: "series-table", attributes }, table);
  }

  update(names: readonly string[], columns: readonly Column[]): void {
    if (names.join("\n") !== this.#names.join("\n")) this.#rebuild(names);
    for (const [index, column] of columns.entries()) {
      const cells = this.#body.rows[index]?.cells;
      if (cells === undefined) continue;
      const known = column.filter((value) => value !== null);
      const values = [
        column.at(-1),
        column.at(-301),
        known.length > 0 ? lowest(known) : null,
        known.length > 0 ? highest(known) : null,
      ];
      for (const [place, value] of values.entries()) {
        const cell = cells[place + 1];
        if (cell !== undefined) setText(cell, format(value, this.#unit));
      }
    }
  }

  #rebuild(names: readonly string[]): void {
    this.#names = names;
    const rows = names.map((name) =>
      element(
        "tr",
        {},
        element("th", { text: name, attributes: { scope: "row" } }),
        ...Array.from({ length: 4 }, () => element("td", { text: NOTHING })),
      ),
    );
    this.#body.replaceChildren(...rows);
  }
}

function linesOf({ lines }: ChartSpec, store: Store): readonly Line[] {
  return lines
    .flatMap(({ key, label, each }) => {
      if (each === true) {
        return store.labels(key).map((name) => ({ key: `${key}|${name}`, label: label + name }));
      }
      return store.column(key) === undefined ? [] : [{ key, label }];
    })
    .slice(0, MAX_LINES);
}

function sameLines(left: readonly Line[], right: readonly Line[]): boolean {
  return (
    left.length > 0 &&
    left.length === right.length &&
    left.every(({ key }, index) => key === right[index]?.key)
  );
}

function options(unit: Unit, lines: readonly Line[], width: number): uPlot.Options {
  const axis = { stroke: colour("quiet"), font: FONT, ticks: { show: false } };
  const grid = { stroke: colour("grid"), width: 1 };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 24, 0, 0],
    scales: {
      x: { time: true, auto: false },
      y: { range: (_plot, _min, max) => yRange(unit, max) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 72,
        values: (_plot, splits) => splits.map(hourMinute),
      },
      {
        ...axis,
        grid,
        size: AXIS_WIDTH,
        space: 36,
        ...(unit === "bytes" && { incrs: BYTE_STEPS }),
        values: (_plot, splits) => splits.map((value) => format(value, unit)),
      },
    ],
    series: [
      {},
      ...lines.map((_line, index) => ({
        stroke: colour(`c${index % COLOURS}`),
        width: 2,
        dash: [...dashOf(index)],
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

// From 0, and with room above: a line that trembles must not look like a mountain.
function yRange(unit: Unit, max: number | null): [number, number] {
  const least =
    unit === "ratio" ? 1 : unit === "bytes" ? 1024 * 1024 : unit === "seconds" ? 0.01 : 1;
  return [0, Math.max(least, (max ?? 0) * (unit === "ratio" ? 1 : 1.15))];
}

function hourMinute(seconds: number): string {
  const date = new Date(seconds * 1000);
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}

function pad(column: Column, length: number): Column {
  return column.length === length ? column : Array.from({ length }, () => null);
}

function lowest(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(low, value), Infinity);
}

function highest(values: readonly number[]): number {
  return values.reduce((high, value) => Math.max(high, value), -Infinity);
}
