import { describe, expect, test } from "vitest";
import { estimateBytes } from "../src/size.ts";

describe("estimated bytes", () => {
  test.each([
    ["a string", "abc", 22],
    ["a number", 1, 8],
    ["null", null, 8],
    ["a bigint", 255n, 17],
    ["a function", () => {}, 64],
    ["an empty object", {}, 32],
    ["an object", { a: 1, b: "xy" }, 32 + 32 + 8 + 20],
    ["an array", [1, 2, 3], 32 + 48 + 24],
    ["a Map", new Map([["k", 1]]), 48 + 32 + 18 + 8],
    ["a Set", new Set([1, 2]), 48 + 48 + 16],
    ["a Buffer", Buffer.alloc(1_000), 1_096],
    ["an ArrayBuffer", new ArrayBuffer(10), 106],
  ])("%s", (_what, value, bytes) => {
    expect(estimateBytes(value)).toBe(bytes);
  });

  test("what is referred to twice is counted once, and a cycle ends", () => {
    const shared = { text: "x".repeat(100) };
    const twice: unknown[] = [shared, shared];
    expect(estimateBytes(twice)).toBe(32 + 32 + estimateBytes(shared));
    twice.push(twice);
    expect(estimateBytes(twice)).toBe(32 + 48 + estimateBytes(shared));
  });

  test("a graph of more than 100,000 objects is beyond measure", () => {
    expect(estimateBytes(Array.from({ length: 100_001 }, () => ({})))).toBe(Infinity);
  });
});
