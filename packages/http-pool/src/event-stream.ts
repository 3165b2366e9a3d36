import type { IncomingHttpHeaders } from "node:http";

const COLON = 0x3a;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LETTER_T = 0x74;
const LOWER_CASE = 0x20;

export function isEventStream({ "content-type": type }: IncomingHttpHeaders): boolean {
  // Most answers are JSON, whose type needs no copy in lower case.
  if (type === undefined || (type.charCodeAt(0) | LOWER_CASE) !== LETTER_T) return false;
  return type.toLowerCase().startsWith("text/event-stream");
}

/** Whether a piece of an event stream holds comments and blank lines only, with which servers keep it alive. */
export function saysNothing(chunk: Uint8Array): boolean {
  let isStart = true;
  let isComment = false;
  for (const byte of chunk) {
    const isEnd = byte === LINE_FEED || byte === CARRIAGE_RETURN;
    if (isStart && !isEnd) {
      if (byte !== COLON) return false;
      isComment = true;
    }
    isStart = isEnd;
    if (isEnd) isComment = false;
  }
  return chunk.byteLength > 0 && !isComment;
}

/** The last event id that a piece of an event stream names, if it does; the piece may begin within a line. */
export function lastEventId(chunk: Buffer): string | undefined {
  const found = chunk.lastIndexOf("\nid:");
  const from = found >= 0 ? found + 4 : chunk.subarray(0, 3).toString("latin1") === "id:" ? 3 : -1;
  const to = from < 0 ? -1 : chunk.indexOf(LINE_FEED, from);
  return to < 0 ? undefined : chunk.subarray(from, to).toString().trim();
}
