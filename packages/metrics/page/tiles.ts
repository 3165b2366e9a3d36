import { element, setText } from "./dom.ts";
import { format, quantity } from "./format.ts";
import { TILES } from "./layout.ts";
import type { TileSpec } from "./layout.ts";
import { drawSpark } from "./spark.ts";
import type { Store } from "./store.ts";

/** The numbers that matter, readable from across the room. */
export class Tiles {
  readonly root: HTMLElement = element("dl", { class: "tiles" });
  readonly #store: Store;
  readonly #tiles: readonly Tile[];

  constructor(store: Store) {
    this.#store = store;
    this.#tiles = TILES.map((spec) => new Tile(spec));
    this.root.append(...this.#tiles.map(({ root }) => root));
  }

  update(): void {
    for (const tile of this.#tiles) tile.update(this.#store);
  }
}

class Tile {
  readonly root: HTMLElement;
  readonly #spec: TileSpec;
  readonly #number = element("span", { class: "number" });
  readonly #unit = element("span", { class: "unit" });
  readonly #peak = element("span", { class: "peak" });
  readonly #spark = element("canvas", { class: "spark", attributes: { "aria-hidden": "true" } });

  constructor(spec: TileSpec) {
    this.#spec = spec;
    this.root = element(
      "div",
      { class: "tile", attributes: { "data-tile": spec.key } },
      element("dt", { text: spec.label }),
      element(
        "dd",
        {},
        element("span", { class: "big" }, this.#number, this.#unit),
        this.#spark,
        this.#peak,
      ),
    );
  }

  update(store: Store): void {
    const { key, unit } = this.#spec;
    const column = store.column(key);
    this.root.hidden = column === undefined;
    if (column === undefined) return;
    const now = quantity(store.now(key), unit);
    setText(this.#number, now.number);
    setText(this.#unit, now.unit);
    const recent = column.slice(-120).filter((value) => value !== null);
    const peak = recent.reduce((high, value) => Math.max(high, value), 0);
    setText(this.#peak, `2 min peak ${format(peak, unit)}`);
    drawSpark(this.#spark, column);
  }
}
