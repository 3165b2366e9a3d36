import { chartSvg, escapeHtml } from "./chart.ts";
import type { Series } from "./chart.ts";
import { interval } from "./judge.ts";
import type { Measured, Sample, Verdict } from "./record.ts";
import { segments } from "./slope.ts";
import type { Trend } from "./trend.ts";

const MB = 1e6;
/** Points of a line: more than a screen shows would only make the file large. */
const MAX_POINTS = 1000;

const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --dim: #59636e; --line: #d1d9e0; --back: #fff;
  --first: #0969da; --second: #bc4c00; --good: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9198a1; --line: #3d444d;
  --back: #0d1117; --first: #4493f8; --second: #f0883e; --good: #3fb950; --bad: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 800px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } .passed { color: var(--good); } .failed { color: var(--bad); }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: var(--dim); }
th, td { padding: 0.15rem 1rem 0.15rem 0; } td { font-variant-numeric: tabular-nums; }
figure { margin: 2rem 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
figure ul { list-style: none; display: flex; gap: 1.2rem; margin: 0.2rem 0; padding: 0; color: var(--dim); }
figure li::before { content: ""; display: inline-block; width: 1rem; height: 3px; margin: 0 0.4rem 0.25rem 0;
  background: var(--first); } li.second::before { background: var(--second) !important; }
li.fit::before { background: var(--dim) !important; }
svg text { fill: var(--dim); font-size: 12px; } .end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--line); } polyline { fill: none; stroke: var(--first); stroke-width: 1.5; }
polyline.second { stroke: var(--second); } polyline.fit { stroke: var(--dim); stroke-dasharray: 5 4; }
`;

/** A page that needs nothing but itself. */
export function reportHtml(measured: Measured, verdict: Verdict): string {
  const { title, samples, interrupted } = measured;
  const state = verdict.passed ? "passed" : "failed";
  const early = interrupted ? "<p>Ended early: this is what had been measured.</p>" : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>stream-guard soak: ${state}</title><style>${STYLE}</style></head><body>
<h1>stream-guard soak: <span class="${state}">${state}</span></h1>
<p>${escapeHtml(title)}.</p><p class="${state}">${escapeHtml(verdict.text)}.</p>${early}
${table(measured, verdict)}
${samples.length < 2 ? "" : charts(samples, verdict)}
</body></html>
`;
}

function table({ facts, plantBytes, samples }: Measured, { trend }: Verdict): string {
  const rows = Object.entries({
    ...facts,
    samples: samples.length,
    ...(plantBytes > 0 && { "planted leak, bytes a session": plantBytes }),
    ...(trend !== undefined && {
      "slope of the heap floor, bytes a session": trend.slope.value.toFixed(2),
      "its 99 % interval": interval(trend.slope),
      "correlation of neighbouring residuals": trend.slope.correlation.toFixed(2),
      "steps of the heap floor": trend.steps.length,
    }),
  }).map(([name, value]) => {
    const shown = typeof value === "number" ? value.toLocaleString("en") : value;
    return `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(shown)}</td></tr>`;
  });
  return `<table>${rows.join("\n")}</table>`;
}

function charts(samples: readonly Sample[], { trend }: Verdict): string {
  const shown = thin(samples);
  const line = (
    name: string,
    style: Series["style"],
    read: (sample: Sample) => number,
  ): Series => ({ name, style, points: shown.map((sample) => [sample.sessions, read(sample)]) });
  const floor = [line("heap floor, MB", "first", ({ floorBytes }) => floorBytes / MB)];
  if (trend !== undefined) floor.push(fitOf(samples, trend));
  const xLabel = "sessions ended";
  return [
    chartSvg({ title: "Left after a full collection, compiled code apart", xLabel, series: floor }),
    chartSvg({
      title: "Resident memory, and compiled code",
      xLabel,
      fromZero: true,
      series: [
        line("RSS, MB", "first", ({ rssBytes }) => rssBytes / MB),
        line("compiled code, MB", "second", ({ codeBytes }) => codeBytes / MB),
      ],
    }),
    chartSvg({
      title: "Sessions",
      xLabel,
      fromZero: true,
      series: [
        line("most open since the sample before", "first", ({ busySessions }) => busySessions),
        line("open at the sample", "second", ({ openSessions }) => openSessions),
      ],
    }),
    chartSvg({
      title: "The ledger",
      xLabel,
      fromZero: true,
      series: [
        line(
          "most in use since the sample before, MB",
          "first",
          (sample) => sample.busyLedgerBytes / MB,
        ),
        line("in use at the sample, MB", "second", ({ ledgerBytes }) => ledgerBytes / MB),
      ],
    }),
  ].join("\n");
}

/** A line, or one for each level. */
function fitOf(samples: readonly Sample[], { model, slope, steps }: Trend): Series {
  const points = samples.map(({ sessions, floorBytes }) => ({ x: sessions, y: floorBytes }));
  const breaks = model === "levels" ? steps.map(({ at }) => at) : [];
  const ends = segments(points, breaks).flatMap((level): Series["points"] => {
    const meanX = level.reduce((sum, { x }) => sum + x, 0) / level.length;
    const meanY = level.reduce((sum, { y }) => sum + y, 0) / level.length;
    return [level[0]?.x ?? 0, level.at(-1)?.x ?? 0].map((x) => [
      x,
      (meanY + slope.value * (x - meanX)) / MB,
    ]);
  });
  return { name: "fitted line", style: "fit", points: ends };
}

function thin(samples: readonly Sample[]): readonly Sample[] {
  const step = Math.ceil(samples.length / MAX_POINTS);
  return samples.filter((_, index) => index % step === 0);
}
