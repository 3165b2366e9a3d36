import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as entry from "../src/index.ts";
import { eventNames } from "../src/events.ts";
import { defaultHistoryLimit, defaults, rules } from "../src/options.ts";
import { range } from "./support/backend.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** The rows of the first table after a heading, as cells without their code marks. */
function table(heading: string): string[][] {
  const [, section = ""] = readme.split(`\n## ${heading}\n`);
  const lines = section.split("\n");
  const first = lines.findIndex((line) => line.startsWith("|"));
  const length = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  return lines.slice(first + 2, first + length).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.replaceAll("`", "").trim()),
  );
}

test("the table of options names every option, what it takes, its default, and whether tune changes it", () => {
  const rows = table("Options").map(([name = "", value, fallback]) => ({
    name: name.replace(" *", ""),
    tunable: name.endsWith(" *"),
    value,
    fallback,
  }));
  expect(rows.map(({ name }) => name).toSorted(byText)).toEqual(
    Object.keys(rules).toSorted(byText),
  );
  for (const { name, tunable, value, fallback } of rows) {
    expect(value).toBe(rules[name as keyof typeof rules].expected);
    expect([name, tunable]).toEqual([name, Object.hasOwn(defaults, name)]);
    const known = { ...defaults, idempotent: false, historyLimit: defaultHistoryLimit };
    const expected = (known as Readonly<Record<string, boolean | number | undefined>>)[name];
    expect([name, fallback]).toEqual([name, expected === undefined ? fallback : `${expected}`]);
  }
});

test("the table of errors names every error that is exported, with the code it has", () => {
  const rows = table("Errors").map(([code, name]) => [name, code]);
  const made: [string, string][] = [
    new entry.BatchClosedError(),
    new entry.BatchContractError(1, "nothing"),
    new entry.BatchDeadlineError(1, false),
    new entry.BatcherError("BATCHER_ABANDONED", ""),
    new entry.BatcherOptionError("x", "y", 1),
    new entry.BatcherPausedError(1),
    new entry.BatcherReentryError(),
    new entry.BatchItemError(""),
    new entry.BatchItemTooLargeError(1, 1),
    new entry.BatchOverloadError("", 1, 1),
    new entry.BatchTimeoutError(1, 1),
  ].map(({ name, code }) => [name, code]);
  expect(rows.toSorted(byText)).toEqual(made.toSorted(byText));
  const exported = Object.keys(entry).filter(
    (name) => name.endsWith("Error") && /^[A-Z]/.test(name),
  );
  expect(made.map(([name]) => name).toSorted(byText)).toEqual(exported.toSorted(byText));
});

test("the table of events names every event and all that its payload holds", async () => {
  const rows = new Map(table("Events").map(([name, payload = ""]) => [name, payload]));
  expect([...rows.keys()].toSorted(byText)).toEqual([...eventNames].toSorted(byText));
  const seen = new Map<string, object>();
  let calls = 0;
  const batcher = new entry.BatchProcessor<number, number>(
    (items) => {
      if (++calls > 2) return Promise.resolve([...items]);
      const status = calls === 1 ? 503 : 413;
      return Promise.reject(Object.assign(new Error(`HTTP ${status}`), { status }));
    },
    { queueLimit: 2, idempotent: true, retryBackoffMs: 0 },
  );
  for (const name of eventNames) batcher.on(name, (payload: object) => seen.set(name, payload));
  await Promise.allSettled(range(3).map((item) => batcher.add(item)));
  for (const name of eventNames) {
    const payload = rows.get(name)?.replace(/^.*: /, "").split(", ");
    expect([name, payload?.toSorted(byText)]).toEqual([
      name,
      Object.keys(seen.get(name) ?? {}).toSorted(byText),
    ]);
  }
});

test("the table of metrics names every family, its type and its labels", () => {
  const listed = table("Metrics").flatMap(([names = "", type, labels = ""]) =>
    names.split(", ").map((name) => [name, type, labels.replace(/:.*$/, "")]),
  );
  const families = new entry.BatchProcessor<number, number>(async (items) => [...items])
    .metricFamilies()
    .map(({ name, type, labels }) => [name, type, labels.join(", ")]);
  expect(listed.toSorted(byText)).toEqual(families.toSorted(byText));
});

test("the README shows the example as it is", () => {
  const example = readFileSync(new URL("../examples/bulk-insert.ts", import.meta.url), "utf8");
  expect(readme).toContain(example.trimEnd());
});

function byText(one: unknown, other: unknown): number {
  return String(one) < String(other) ? -1 : 1;
}
