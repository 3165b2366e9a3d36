/** One read-out of a series: a counter or gauge has one value, a histogram one for each cumulative bucket. */
interface Point {
  readonly timeMs: number;
  /** How many read-outs came before it, kept or not. */
  readonly index: number;
  readonly raw: readonly number[];
  /** What was added since the first read-out, restarts seen through. */
  readonly risen: readonly number[];
}

/**
 * The read-outs of one series in the last `windowMs` and the arithmetic of Prometheus over them: `rate`, `increase`, `deriv`. A window
 * is open at its start, as in Prometheus 3. At most `maxPoints` and two read-outs are kept, evenly spaced; the newest always is.
 */
export class SeriesWindow {
  readonly #windowMs: number;
  readonly #strideMs: number;
  readonly #points: Point[] = [];
  #seen = 0;
  #lastMs = -Infinity;

  constructor(windowMs: number, maxPoints: number) {
    this.#windowMs = windowMs;
    this.#strideMs = windowMs / maxPoints;
  }

  /** Read-outs that are kept. */
  get size(): number {
    return this.#points.length;
  }

  /** The values of the newest read-out, when that was at `timeMs`. */
  current(timeMs: number): readonly number[] | undefined {
    return this.#lastMs === timeMs ? this.#points.at(-1)?.raw : undefined;
  }

  add(timeMs: number, raw: readonly number[]): void {
    const points = this.#points;
    const last = points.at(-1);
    if (last !== undefined && last.raw.length !== raw.length) points.length = 0;
    const risen = last?.raw.length === raw.length ? risenTo(last, raw) : raw.map(() => 0);
    const before = points.at(-2);
    const isProvisional =
      last !== undefined && before !== undefined && last.timeMs - before.timeMs < this.#strideMs;
    if (isProvisional) points.pop();
    points.push({ timeMs, index: this.#seen, raw, risen });
    this.#seen += 1;
    this.#lastMs = timeMs;
  }

  /** Forgets what is older than the window. */
  prune(timeMs: number): void {
    const start = timeMs - this.#windowMs;
    let stale = 0;
    while (stale < this.#points.length && (this.#points[stale] as Point).timeMs <= start)
      stale += 1;
    if (stale > 0) this.#points.splice(0, stale);
  }

  /** Read-outs in the window, with those that were not kept. */
  count(): number {
    const [first] = this.#points;
    const last = this.#points.at(-1);
    return first === undefined || last === undefined ? 0 : last.index - first.index + 1;
  }

  /** Increase of each value over the window that ends at `timeMs`; undefined below two read-outs. */
  increase(timeMs: number): readonly number[] | undefined {
    const [first] = this.#points;
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined || first === last) return undefined;
    const span = { first, last, gaps: this.#points.length - 1 };
    return last.risen.map((risen, index) =>
      extrapolated(span, risen - (first.risen[index] as number), first.raw[index] as number, {
        startMs: timeMs - this.#windowMs,
        endMs: timeMs,
      }),
    );
  }

  /** Change per second by least squares; undefined below two read-outs. */
  slope(): number | undefined {
    const points = this.#points;
    const [first] = points;
    if (first === undefined || points.length < 2) return undefined;
    const origin = first.raw[0] as number;
    let sumX = 0;
    let sumY = 0;
    let sumXY = 0;
    let sumXX = 0;
    for (const { timeMs, raw } of points) {
      const x = (timeMs - first.timeMs) / 1000;
      const y = (raw[0] as number) - origin;
      sumX += x;
      sumY += y;
      sumXY += x * y;
      sumXX += x * x;
    }
    const covariance = sumXY - (sumX * sumY) / points.length;
    return covariance / (sumXX - (sumX * sumX) / points.length);
  }
}

/** A counter that fell was restarted at 0. */
function risenTo(last: Point, raw: readonly number[]): readonly number[] {
  return raw.map((value, index) => {
    const before = last.raw[index] as number;
    return (last.risen[index] as number) + (value < before ? value : value - before);
  });
}

/**
 * Prometheus, promql/functions.go, `extrapolatedRate`: the increase between the outer read-outs is stretched to the ends of the
 * window, or by half a gap where the series seems to begin or end within it, and never to before the counter was 0.
 */
function extrapolated(
  { first, last, gaps }: { readonly first: Point; readonly last: Point; readonly gaps: number },
  risen: number,
  firstValue: number,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
): number {
  const sampledMs = last.timeMs - first.timeMs;
  const gapMs = sampledMs / gaps;
  let toStartMs = first.timeMs - startMs;
  if (risen > 0 && firstValue >= 0) {
    toStartMs = Math.min(toStartMs, sampledMs * (firstValue / risen));
  }
  const stretched = [toStartMs, endMs - last.timeMs].map((ms) =>
    ms < gapMs * 1.1 ? ms : gapMs / 2,
  );
  return (risen * (sampledMs + (stretched[0] as number) + (stretched[1] as number))) / sampledMs;
}
