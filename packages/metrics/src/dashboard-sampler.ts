import { alertViews } from "./dashboard-alerts.ts";
import type { AlertSource } from "./dashboard-alerts.ts";
import { evaluate, panelsOf } from "./dashboard-evaluate.ts";
import type { DashboardFrame } from "./dashboard-protocol.ts";
import { Reader } from "./dashboard-reading.ts";
import type { Reading, Snapshot } from "./dashboard-reading.ts";
import { FrameRing } from "./dashboard-ring.ts";

export interface SamplerOptions {
  readonly alerts: AlertSource | undefined;
  readonly historyLength: number;
  readonly maxSeries: number;
  readonly maxLabels: number;
  readonly windowFrames: number;
}

/** Turns snapshots into frames, once for all clients, and keeps the last ones. */
export class Sampler {
  readonly ring: FrameRing;
  readonly #options: SamplerOptions;
  readonly #reader: Reader;
  readonly #window: { readonly atMs: number; readonly reading: Reading }[] = [];
  #last: DashboardFrame | undefined;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#reader = new Reader(options.maxLabels);
    this.ring = new FrameRing(options.historyLength, options.maxSeries);
  }

  get last(): DashboardFrame | undefined {
    return this.#last;
  }

  /** Gives the last frame again when the clock stood still or went back: time on the page never does. */
  add(atMs: number, snapshot: Snapshot): DashboardFrame {
    const latest = this.#window.at(-1);
    if (this.#last !== undefined && latest !== undefined && atMs <= latest.atMs) return this.#last;
    const reading = this.#reader.read(snapshot);
    this.#window.push({ atMs, reading });
    if (this.#window.length > this.#options.windowFrames + 1) this.#window.shift();
    const first = this.#window[0] ?? { atMs, reading };
    const seconds = (atMs - first.atMs) / 1000;
    const values = evaluate({ oldest: first.reading, newest: reading, seconds });
    this.ring.push(atMs, values);
    this.#last = {
      atMs: Math.round(atMs),
      values,
      panels: panelsOf(reading),
      watched: this.#options.alerts !== undefined,
      alerts: alertViews(this.#options.alerts),
      droppedSeries: this.ring.dropped,
    };
    return this.#last;
  }
}
