/**
 * The read-outs of one series in the last `windowMs` and the arithmetic of Prometheus over them: `rate`, `increase`, `deriv`. A window
 * is open at its start, as in Prometheus 3. At most `maxPoints` and two read-outs are kept, evenly spaced; the newest always is.
 *
 * A counter or gauge has one value, a histogram one for each cumulative bucket. Numbers lie flat, a row for each read-out: there may
 * be many thousands of them.
 */
export class SeriesWindow {
  readonly #windowMs: number;
  readonly #strideMs: number;
  readonly #times: number[] = [];
  /** How many read-outs came before each, kept or not. */
  readonly #indexes: number[] = [];
  readonly #raw: number[] = [];
  /** What was added since the first read-out, restarts seen through. */
  readonly #risen: number[] = [];
  #width = 0;
  #seen = 0;
  #lastMs = -Infinity;

  constructor(windowMs: number, maxPoints: number) {
    this.#windowMs = windowMs;
    this.#strideMs = windowMs / maxPoints;
  }

  /** Read-outs that are kept. */
  get size(): number {
    return this.#times.length;
  }

  /** The first value of the newest read-out, when that was at `timeMs`. */
  current(timeMs: number): number | undefined {
    return this.#lastMs === timeMs ? this.#raw[(this.size - 1) * this.#width] : undefined;
  }

  add(timeMs: number, raw: readonly number[]): void {
    if (raw.length !== this.#width) this.#restart(raw.length);
    const { size } = this;
    const risen = raw.map((value, column) => this.#risenTo(value, column));
    const gapMs = at(this.#times, size - 1) - at(this.#times, size - 2);
    if (size > 1 && gapMs < this.#strideMs) this.#drop(size - 1, 1);
    this.#times.push(timeMs);
    this.#indexes.push(this.#seen);
    this.#raw.push(...raw);
    this.#risen.push(...risen);
    this.#seen += 1;
    this.#lastMs = timeMs;
  }

  /** Forgets what is older than the window. */
  prune(timeMs: number): void {
    const start = timeMs - this.#windowMs;
    let stale = 0;
    while (stale < this.size && at(this.#times, stale) <= start) stale += 1;
    if (stale > 0) this.#drop(0, stale);
  }

  /** Read-outs in the window, with those that were not kept. */
  count(): number {
    const { size } = this;
    return size === 0 ? 0 : at(this.#indexes, size - 1) - at(this.#indexes, 0) + 1;
  }

  /** Increase of each value over the window that ends at `timeMs`; undefined below two read-outs. */
  increase(timeMs: number): readonly number[] | undefined {
    const { size } = this;
    if (size < 2) return undefined;
    const span = {
      startMs: timeMs - this.#windowMs,
      firstMs: at(this.#times, 0),
      lastMs: at(this.#times, size - 1),
      endMs: timeMs,
      gaps: size - 1,
    };
    const last = (size - 1) * this.#width;
    return Array.from({ length: this.#width }, (_, column) => {
      const risen = at(this.#risen, last + column) - at(this.#risen, column);
      return extrapolated(span, risen, at(this.#raw, column));
    });
  }

  /** Change per second of the first value, by least squares; undefined below two read-outs. */
  slope(): number | undefined {
    const { size } = this;
    if (size < 2) return undefined;
    let sumX = 0;
    let sumY = 0;
    let sumXY = 0;
    let sumXX = 0;
    for (let index = 0; index < size; index += 1) {
      const x = (at(this.#times, index) - at(this.#times, 0)) / 1000;
      const y = at(this.#raw, index * this.#width) - at(this.#raw, 0);
      sumX += x;
      sumY += y;
      sumXY += x * y;
      sumXX += x * x;
    }
    return (sumXY - (sumX * sumY) / size) / (sumXX - (sumX * sumX) / size);
  }

  /** A counter that fell was restarted at 0. */
  #risenTo(value: number, column: number): number {
    const { size } = this;
    if (size === 0) return 0;
    const last = (size - 1) * this.#width + column;
    const before = at(this.#raw, last);
    return at(this.#risen, last) + (value < before ? value : value - before);
  }

  #drop(from: number, count: number): void {
    this.#times.splice(from, count);
    this.#indexes.splice(from, count);
    this.#raw.splice(from * this.#width, count * this.#width);
    this.#risen.splice(from * this.#width, count * this.#width);
  }

  /** Other buckets are another series. */
  #restart(width: number): void {
    this.#drop(0, this.size);
    this.#width = width;
  }
}

interface Span {
  readonly startMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly endMs: number;
  readonly gaps: number;
}

/**
 * Prometheus, promql/functions.go, `extrapolatedRate`: the increase between the outer read-outs is stretched to the ends of the
 * window, or by half a gap where the series seems to begin or end within it, and never to before the counter was 0.
 */
function extrapolated(
  { startMs, firstMs, lastMs, endMs, gaps }: Span,
  risen: number,
  firstValue: number,
): number {
  const sampledMs = lastMs - firstMs;
  const gapMs = sampledMs / gaps;
  const inReach = (ms: number): number => (ms < gapMs * 1.1 ? ms : gapMs / 2);
  let toStartMs = firstMs - startMs;
  if (risen > 0 && firstValue >= 0) {
    toStartMs = Math.min(toStartMs, sampledMs * (firstValue / risen));
  }
  return (risen * (sampledMs + inReach(toStartMs) + inReach(endMs - lastMs))) / sampledMs;
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] as number;
}
