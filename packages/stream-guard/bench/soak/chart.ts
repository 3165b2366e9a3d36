export interface Series {
  readonly name: string;
  /** Class of the line; `html.ts` has a colour for each. */
  readonly style: "first" | "second" | "fit";
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
  /** The axis begins at 0; otherwise where the values do. */
  readonly fromZero?: boolean;
}

interface Scale {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
}

const WIDTH = 760;
const HEIGHT = 240;
const MARGIN = { left: 64, right: 28, top: 8, bottom: 36 };
const TICKS = 5;

/** A line chart as inline SVG. */
export function chartSvg({ title, xLabel, series, fromZero = false }: Chart): string {
  const all = series.flatMap(({ points }) => points);
  const x = scaleOf(
    all.map(([value]) => value),
    true,
    "last value",
  );
  const y = scaleOf(
    all.map(([, value]) => value),
    fromZero,
  );
  const atX = (value: number): number =>
    MARGIN.left + share(value, x) * (WIDTH - MARGIN.left - MARGIN.right);
  const atY = (value: number): number =>
    HEIGHT - MARGIN.bottom - share(value, y) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const rows = y.ticks.map((tick) => {
    const at = atY(tick).toFixed(1);
    return `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}"/><text class="end" x="${MARGIN.left - 6}" y="${at}" dy="4">${label(tick)}</text>`;
  });
  const columns = x.ticks.map(
    (tick) =>
      `<text class="middle" x="${atX(tick).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 16}">${label(tick)}</text>`,
  );
  const lines = series.map(({ style, points }) => {
    const path = points.map(([px, py]) => `${atX(px).toFixed(1)},${atY(py).toFixed(1)}`).join(" ");
    return `<polyline class="${style}" points="${path}"/>`;
  });
  const legend = series.map(({ name, style }) => `<li class="${style}">${escapeHtml(name)}</li>`);
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><ul>${legend.join("")}</ul>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">
${[...rows, ...columns, ...lines].join("\n")}
<text class="middle" x="${WIDTH / 2}" y="${HEIGHT - 4}">${escapeHtml(xLabel)}</text></svg></figure>`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

function scaleOf(
  values: readonly number[],
  fromZero: boolean,
  upTo: "last value" | "round value" = "round value",
): Scale {
  const finite = values.filter((value) => Number.isFinite(value));
  const low = fromZero ? 0 : Math.min(...finite);
  const high = Math.max(...finite);
  const step = stepOf((high - low || Math.abs(high) || 1) / TICKS);
  const min = Math.floor(low / step) * step;
  const round = Math.max(min + step, Math.ceil(high / step) * step);
  const max = upTo === "last value" && high > min ? high : round;
  const count = Math.floor((max - min) / step + 1e-9);
  return { min, max, ticks: Array.from({ length: count + 1 }, (_, index) => min + index * step) };
}

/** 1, 2 or 5 times a power of ten. */
function stepOf(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough) ?? 10;
  return factor * power;
}

function share(value: number, { min, max }: Scale): number {
  return (value - min) / (max - min);
}

function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en");
}
