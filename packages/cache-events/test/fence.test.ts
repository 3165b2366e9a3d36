import { describe, expect, test } from "vitest";
import { FenceLine, unmoved } from "../src/fence.ts";

describe("the line of fences", () => {
  test("a tag is remembered only while it is held", () => {
    const line = new FenceLine();
    const [first, second] = [line.hold("t"), line.hold("t")];
    expect(second).toBe(first);
    line.release([first]);
    expect(line.tagCount).toBe(1);
    line.release([second]);
    expect(line.tagCount).toBe(0);
  });

  test("a tag that is held again is not older than its last invalidation, held or not at that time", () => {
    const line = new FenceLine();
    line.moveTags(["t"]);
    const born = line.seq;
    const fence = line.hold("t");
    expect(unmoved([fence], born)).toBe(true);
    line.moveTags(["t"]);
    line.release([fence]);
    expect(line.seqOf("t")).toBe(2);
    expect(unmoved([line.hold("t")], born)).toBe(false);
  });

  test("invalidations of tags that nobody holds take no memory", () => {
    const line = new FenceLine();
    for (let index = 0; index < 10_000; index++) line.moveTags([`t${index}`]);
    expect(line.tagCount).toBe(0);
    expect(line.seqOf("t9999")).toBe(10_000);
  });
});
