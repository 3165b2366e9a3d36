import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, frozenCopy } from "../src/plain-json.ts";

class Instance {
  readonly field = 1;
}

const notPlain: readonly (readonly [string, unknown])[] = [
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["a bigint", 1n],
  ["a function", () => {}],
  ["a symbol", Symbol("s")],
  ["a Date", new Date(0)],
  ["a Map", new Map()],
  ["an instance", new Instance()],
  ["an object with toJSON", { toJSON: () => 1 }],
  ["an object with symbols", { [Symbol("s")]: 1 }],
  ["a hole", Object.assign([], { length: 1 })],
];

describe("canonical JSON", () => {
  test("is equal for equal values whatever the order of keys, and different for different ones", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: true }, 100)).toBe(
      '{"a":true,"b":[1,{"c":"x","d":null}]}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const same = canonicalJson(one, 1e6) === canonicalJson(other, 1e6);
        expect(same).toBe(
          canonicalJson(reversed(one), 1e6) === canonicalJson(reversed(other), 1e6),
        );
        expect(canonicalJson(one, 1e6)).toBe(canonicalJson(reversed(one), 1e6));
        expect(JSON.parse(canonicalJson(one, 1e6) ?? "")).toEqual(one);
      }),
    );
  });

  test("a property that is undefined is left out; -0 is not 0", () => {
    expect(canonicalJson({ a: undefined, b: 1 }, 100)).toBe('{"b":1}');
    expect(canonicalJson({}, 100)).toBe("{}");
    expect(canonicalJson([], 100)).toBe("[]");
    expect(canonicalJson(-0, 100)).toBe("-0");
    expect(canonicalJson(Object.create(null), 100)).toBe("{}");
  });

  test.each(notPlain)("%s has none, also inside", (_what, value) => {
    expect(canonicalJson(value, 1_000)).toBeUndefined();
    expect(canonicalJson([[value]], 1_000)).toBeUndefined();
  });

  test("stops at its bound, and at a depth of 64, so a cycle ends", () => {
    expect(canonicalJson("x".repeat(98), 100)).toHaveLength(100);
    expect(canonicalJson("x".repeat(99), 100)).toBeUndefined();
    expect(canonicalJson({ a: "x".repeat(99) }, 100)).toBeUndefined();
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(canonicalJson(cycle, 1e6)).toBeUndefined();
  });
});

describe("a frozen copy", () => {
  test("equals the original, shares nothing with it, and cannot be changed", () => {
    const original = { content: [{ type: "text", text: "hi", none: undefined }] };
    const copy = frozenCopy(original);
    expect(copy).toEqual({ content: [{ type: "text", text: "hi" }] });
    original.content.push({ type: "text", text: "more", none: undefined });
    expect(copy?.content).toHaveLength(1);
    expect(() => copy?.content.push({ type: "", text: "", none: undefined })).toThrow(TypeError);
    expect(Object.isFrozen(copy?.content[0])).toBe(true);
  });

  test("keeps a key named __proto__ a plain key", () => {
    const original = JSON.parse('{"__proto__":{"polluted":true}}') as object;
    const copy = frozenCopy(original);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.keys(copy ?? {})).toEqual(["__proto__"]);
  });

  test.each(notPlain)("there is none of %s", (_what, value) => {
    expect(frozenCopy([value])).toBeUndefined();
  });

  test("a getter that throws is the caller's error, and a cycle has no copy", () => {
    const bad = {
      get value(): never {
        throw new Error("getter");
      },
    };
    expect(() => frozenCopy(bad)).toThrow("getter");
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(frozenCopy(cycle)).toBeUndefined();
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([key, item]) => [key, reversed(item)]));
}
