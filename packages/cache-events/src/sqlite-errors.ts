import type { StoreErrorReason } from "./errors.ts";
import { StoreError } from "./errors.ts";

/** By SQLite's primary result codes, https://sqlite.org/rescode.html. */
const reasons: Readonly<Record<number, StoreErrorReason>> = {
  5: "busy",
  6: "busy",
  8: "readonly",
  10: "unavailable",
  11: "corrupt",
  13: "full",
  14: "unavailable",
  26: "foreign",
};

const advice: Readonly<Partial<Record<StoreErrorReason, string>>> = {
  busy: "another process holds the lock; raise busyTimeoutMs, or look for one that is stopped while it writes",
  readonly: "make the file and its folder writable",
  unavailable: "the folder must exist, be writable and be on a local disk",
  corrupt: "delete it: it holds nothing but a cache",
  full: "free disk space, or delete the file and keep maxBytes well below the size of the volume",
  foreign: "it is no SQLite file, or damaged at its beginning; name another path or delete it",
};

export function sqliteError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const { errcode, errstr, code } = Object(error) as {
    errcode?: unknown;
    errstr?: unknown;
    code?: unknown;
  };
  const reason =
    typeof errcode === "number"
      ? (reasons[errcode & 0xff] ?? "failed")
      : typeof code === "string" && code.startsWith("E") && !code.startsWith("ERR_")
        ? systemReason(code)
        : "failed";
  const what = typeof errstr === "string" ? errstr : String(code ?? error);
  return new StoreError(`${path}: ${what}; ${advice[reason] ?? "see the cause"}`, {
    cause: error,
    reason,
  });
}

export function foreignFile(path: string): StoreError {
  return new StoreError(
    `${path}: a SQLite file, but not one that this version made for a cache; name another path or delete it`,
    { reason: "foreign" },
  );
}

function systemReason(code: string): StoreErrorReason {
  if (code === "EROFS") return "readonly";
  return code === "ENOSPC" ? "full" : "unavailable";
}
