export type YamlValue =
  | string
  | number
  | boolean
  | readonly YamlValue[]
  | { readonly [key: string]: YamlValue | undefined };

/** Not printable in YAML, or read as a line break by some of its readers. JSON already escapes what is below a space. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
const BLOCK_LINE = /^[\x20-\x7e]*$/;
const PLAIN_KEY = /^[a-z_][a-zA-Z0-9_]*$/;

/**
 * Writes plain data as YAML. Texts are double-quoted with JSON's escapes, which YAML shares; printable ASCII of several lines becomes
 * a literal block. Nothing is ever plain, so nothing is taken for a number, a date, a boolean or a tag.
 */
export function toYaml(value: YamlValue): string {
  return `${nested(value, "").trimStart()}\n`;
}

function nested(value: YamlValue, indent: string): string {
  if (typeof value === "string") return ` ${text(value, indent)}`;
  if (typeof value !== "object") return ` ${String(value)}`;
  if (Array.isArray(value)) {
    if (value.length === 0) return " []";
    return value.map((item) => `\n${indent}-${listItem(item, `${indent}  `)}`).join("");
  }
  const entries = Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : [[key, inner] as const],
  );
  if (entries.length === 0) return " {}";
  return entries
    .map(([key, inner]) => `\n${indent}${keyText(key)}:${nested(inner, `${indent}  `)}`)
    .join("");
}

/** A map in a list begins on the line of its dash. */
function listItem(value: YamlValue, indent: string): string {
  const written = nested(value, indent);
  return written.startsWith("\n") ? ` ${written.trimStart()}` : written;
}

function text(value: string, indent: string): string {
  const lines = value.split("\n");
  const isBlock =
    lines.length > 1 &&
    lines.every((line) => BLOCK_LINE.test(line)) &&
    /^[^ ]/.test(value) &&
    /[^\n]$/.test(value);
  if (!isBlock) return quoted(value);
  return `|-\n${lines.map((line) => (line === "" ? "" : indent + line)).join("\n")}`;
}

function keyText(key: string): string {
  return PLAIN_KEY.test(key) ? key : quoted(key);
}

function quoted(value: string): string {
  return JSON.stringify(value.toWellFormed()).replaceAll(
    UNPRINTABLE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
