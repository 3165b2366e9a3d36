import { publicError, type PublicError } from "./public-error.ts";
import { jsonBytes } from "./result-room.ts";
import type { Tool } from "./tool.ts";

/** What the answer has beside the outcomes. */
const COUNTS_BYTES = 128;
/** Every call has this much: an error, or what is short in the result of a tool that changes one thing, takes less. */
const BRIEF_BYTES = 1_000;
/** Ids, times and states are shorter. */
const SHORT_LENGTH = 40;

/** Shares the answer's bytes among those calls that need to know how many they have before they change anything. */
export class BatchRoom {
  #freeBytes: number;
  #toCome: number;

  constructor(maxBytes: number, calls: number, sharing: number) {
    this.#freeBytes = maxBytes - COUNTS_BYTES - calls * BRIEF_BYTES;
    this.#toCome = sharing;
  }

  /** What the call leaves of its share goes to those after it. */
  async within(call: (maxResultBytes: number) => Promise<object>): Promise<object> {
    const share = Math.max(0, Math.floor(this.#freeBytes / this.#toCome));
    this.#toCome -= 1;
    this.#freeBytes -= share;
    let used = 0;
    try {
      const result = (await call(share)) as Result;
      used = result.isError === true ? 0 : jsonBytes(result.structuredContent ?? {});
      return result;
    } finally {
      this.#freeBytes += share - used;
    }
  }
}

export interface CallOutcome {
  readonly outcome: PromiseSettledResult<object>;
  /** Undefined when there is no such tool. */
  readonly tool: Tool | undefined;
}
export type BatchResult = { ok: boolean; result?: Record<string, unknown>; error?: PublicError };

interface Result {
  readonly content?: readonly { readonly text?: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
}

/**
 * Keeps the outcome of every call. When they do not all fit, the later ones are made brief: what was changed keeps its ids,
 * what failed keeps its code, and what was only read is left out.
 */
export function fitOutcomes(outcomes: readonly CallOutcome[], maxBytes: number): BatchResult[] {
  const full = outcomes.map(({ outcome }) => fullOf(outcome));
  const sizes = full.map((result) => jsonBytes(result) + 1);
  if (sum(sizes) <= maxBytes - COUNTS_BYTES) return full;
  const brief = outcomes.map(briefOf);
  const briefSizes = brief.map((result) => jsonBytes(result) + 1);
  let room = maxBytes - COUNTS_BYTES - sum(briefSizes);
  return full.map((result, index) => {
    const extra = (sizes[index] ?? 0) - (briefSizes[index] ?? 0);
    if (extra > room) return brief[index] ?? result;
    room -= extra;
    return result;
  });
}

function fullOf(outcome: PromiseSettledResult<object>): BatchResult {
  if (outcome.status === "rejected") return { ok: false, error: publicError(outcome.reason) };
  const result = outcome.value as Record<string, unknown>;
  return { ok: result["isError"] !== true, result };
}

function briefOf({ outcome, tool }: CallOutcome): BatchResult {
  if (outcome.status === "rejected") return failed(publicError(outcome.reason).code);
  const { content, structuredContent = {}, isError } = outcome.value as Result;
  if (isError === true) return failed(/^[A-Z0-9_]{1,60}(?=: )/.exec(content?.[0]?.text ?? "")?.[0]);
  if (tool?.heedsRoom === true) return { ok: true, result: { content: [], structuredContent } };
  if (tool?.annotations.readOnlyHint === true) return { ok: true, error: leftOut };
  const result = { content: [], structuredContent: shortParts(structuredContent) };
  return { ok: true, result, error: shortened };
}

function failed(code = "INTERNAL_ERROR"): BatchResult {
  return { ok: false, error: { code, message: "It failed; the answer has no room to say more." } };
}

const leftOut: PublicError = {
  code: "RESULT_TOO_LARGE",
  message: "It was read, but does not fit into this answer. Ask again, for less in one request.",
};
const shortened: PublicError = {
  code: "RESULT_TOO_LARGE",
  message:
    "It was done; do not repeat it. The result has its short parts only: read the rest by its id.",
};

/** Of each object in the result, what is no object and no long text. */
function shortParts(result: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const parts = Object.entries(result).filter(([, value]) => isPlainObject(value));
  return Object.fromEntries(
    parts.map(([name, value]) => [
      name,
      Object.fromEntries(Object.entries(value as object).filter(([, part]) => isShort(part))),
    ]),
  );
}

function isPlainObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isShort(value: unknown): boolean {
  return typeof value === "string"
    ? jsonBytes(value) <= SHORT_LENGTH
    : typeof value !== "object" || value === null;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
