import { destination, pino, stdTimeFunctions, type Logger } from "pino";

export type { Logger };

/** JSON lines on stderr: stdout belongs to the stdio transport. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime },
    destination({ dest: 2, sync: true }),
  );
}
