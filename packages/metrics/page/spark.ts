import type { Column } from "./store.ts";
import { colour } from "./theme.ts";

const POINTS = 120;

/** The last two minutes as one thin line from 0 to its highest point. */
export function drawSpark(canvas: HTMLCanvasElement, column: Column | undefined): void {
  const ratio = devicePixelRatio;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (width === 0) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.clearRect(0, 0, width, height);
  const values = (column ?? []).slice(-POINTS);
  const highest = values.reduce<number>((high, value) => Math.max(high, value ?? 0), 0) || 1;
  const edge = 1.5 * ratio;
  context.strokeStyle = colour("spark");
  context.lineWidth = 1.5 * ratio;
  context.lineJoin = "round";
  context.beginPath();
  let drawing = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      drawing = false;
      continue;
    }
    const x = width - ((values.length - 1 - index) / (POINTS - 1)) * width;
    const y = height - edge - (value / highest) * (height - 2 * edge);
    if (drawing) context.lineTo(x, y);
    else context.moveTo(x, y);
    drawing = true;
  }
  context.stroke();
}
