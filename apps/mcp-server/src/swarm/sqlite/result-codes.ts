/** Primary result codes of SQLite: https://www.sqlite.org/rescode.html */
const ERROR = 1;
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** Another connection holds a lock that is needed. */
export function isBusy(error: unknown): boolean {
  return primaryCode(error) === BUSY;
}

/** What was read is not what was written; statements of ours fail otherwise only for a table or column that is missing. */
export function isCorrupt(error: unknown): boolean {
  const code = primaryCode(error);
  return code === CORRUPT || code === ERROR;
}

export function isNotADatabase(error: unknown): boolean {
  return primaryCode(error) === NOT_A_DATABASE;
}

/** The extended codes keep the primary one in their lowest byte. */
function primaryCode(error: unknown): number | undefined {
  const code: unknown = (error as { errcode?: unknown } | null | undefined)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}
