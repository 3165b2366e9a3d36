import { pino } from "pino";
import type { Logger } from "../../src/log.ts";

/** A logger whose lines a test can read. */
export function linesLogger(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => {
    const { time: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
    lines.push(rest);
  };
  return { logger: pino({ base: null }, { write }), lines };
}
