import { badCursor } from "../errors.ts";
import type { Page, PageRequest } from "../types.ts";

export type SqlValue = string | number | null;
export type Row = Record<string, SqlValue>;

/** WHERE clause of the filters that are set; column names come from the code, values are bound. */
export function where(filters: Readonly<Record<string, SqlValue | undefined>>): {
  readonly clause: string;
  readonly values: SqlValue[];
} {
  const set = Object.entries(filters).filter(
    (entry): entry is [string, SqlValue] => entry[1] !== undefined,
  );
  const conditions = set.map(([column]) => `${column} = ?`);
  return {
    clause: ["seq > ?", ...conditions].join(" AND "),
    values: set.map(([, value]) => value),
  };
}

/** The cursor is the row number after which the page begins. */
export function cursorToSeq(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  const seq = Number(cursor);
  if (!/^\d{1,15}$/.test(cursor) || !Number.isSafeInteger(seq)) throw badCursor(cursor);
  return seq;
}

/** `rows` holds one more than the page when there is a next page. */
export function toPage<T>(
  rows: readonly Row[],
  { limit }: PageRequest,
  map: (row: Row) => T,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(map),
    nextCursor: rows.length > limit && last !== undefined ? String(last["seq"]) : null,
  };
}
