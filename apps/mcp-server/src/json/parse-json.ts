/** Deepest nesting of arrays and objects in a message; SDKs and serialisers recurse. */
export const MAX_DEPTH = 100;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What is wrong with bytes that were to be JSON. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  readonly kind: "syntax" | "depth";

  constructor(kind: JsonError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** @throws JsonError when the bytes are not UTF-8, not JSON, or nested deeper than `MAX_DEPTH`. */
export function parseJson(bytes: Uint8Array): unknown {
  if (isTooDeep(bytes))
    throw new JsonError("depth", `the message is nested deeper than ${MAX_DEPTH} levels`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new JsonError("syntax", `not valid JSON in UTF-8: ${(error as Error).message}`);
  }
}

/** Counts brackets outside of strings; on what is not JSON it may be wrong either way, and the parser says so. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (quoted) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    // "[" and "{", "]" and "}" differ in one bit.
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return false;
}
