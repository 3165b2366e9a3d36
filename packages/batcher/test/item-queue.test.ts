import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { patienceMs } from "../src/fair-bucket.ts";
import { ItemQueue } from "../src/item-queue.ts";
import { Job, JobTerms } from "../src/job.ts";

interface Wish {
  readonly priority?: number;
  readonly key?: string;
  readonly at?: number;
  readonly deadlineMs?: number;
  readonly bytes?: number;
}

const ignore = () => undefined;

function job(item: number, wish: Wish = {}) {
  const { priority = 0, key, at = 0, deadlineMs = Infinity, bytes = 0 } = wish;
  const host = { onSettled: () => undefined };
  const terms = Object.assign(new JobTerms(), { key, bytes });
  const made = new Job<number, number>(item, { at, host }, priority, terms, ignore, ignore);
  if (deadlineMs !== Infinity) made.dueBy(at + deadlineMs, deadlineMs);
  return made;
}

function queueOf(...wishes: Wish[]) {
  const queue = new ItemQueue<number, number>();
  for (const [item, wish] of wishes.entries()) queue.push(job(item, wish));
  return queue;
}

const take = (queue: ItemQueue<number, number>, limit = Infinity, now = 0) =>
  queue.take(limit, now, 1_000).map(({ item }) => item);

const due = ({ deadlineMs }: { deadlineMs: number }) =>
  deadlineMs === Infinity ? patienceMs : deadlineMs;

describe("item queue", () => {
  test("higher priority first, first come first within", () => {
    const queue = queueOf({ priority: -1 }, {}, { priority: 2 }, {}, { priority: 2 });
    expect(take(queue, 3)).toEqual([2, 4, 1]);
    expect(take(queue)).toEqual([3, 0]);
    expect(queue.size).toBe(0);
  });

  test("earliest deadline first; an item without one is due after its patience", () => {
    const queue = queueOf(
      { at: 0 },
      { at: 0, deadlineMs: 500 },
      { at: 0, deadlineMs: 100 },
      { at: 0, deadlineMs: patienceMs + 1 },
      { at: 0, deadlineMs: 100 },
    );
    expect(take(queue)).toEqual([2, 4, 1, 0, 3]);
  });

  test("keys take turns, also over several batches", () => {
    const queue = queueOf(
      { key: "a" },
      { key: "a" },
      { key: "a" },
      { key: "a" },
      { key: "b" },
      { key: "c" },
      { key: "b" },
    );
    expect(take(queue, 4)).toEqual([0, 4, 5, 1]);
    expect(take(queue)).toEqual([6, 2, 3]);
  });

  test("a priority that waited long enough goes before a higher one, once", () => {
    const queue = queueOf(
      { priority: 0 },
      { priority: 0 },
      { priority: 2 },
      { priority: 2 },
      { priority: 2 },
    );
    expect(take(queue, 1, 0)).toEqual([2]);
    expect(take(queue, 1, 2_900)).toEqual([3]);
    expect(take(queue, 1, 3_000)).toEqual([0]);
    expect(take(queue, 1, 3_100)).toEqual([4]);
    expect(take(queue, 1, 3_100)).toEqual([1]);
  });

  test("it takes what a sorted list would, whatever was removed before", () => {
    const wish = fc.record({
      priority: fc.integer({ min: -2, max: 2 }),
      deadlineMs: fc.constantFrom(Infinity, 10, 20, 30),
      removed: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(wish, { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        (wishes, limit) => {
          const queue = new ItemQueue<number, number>();
          const jobs = wishes.map((each, item) => job(item, each));
          for (const each of jobs) queue.push(each);
          for (const [index, { removed }] of wishes.entries())
            if (removed) jobs[index]?.reject("gone");
          const expected = wishes
            .map((each, item) => ({ ...each, item }))
            .filter(({ removed }) => !removed)
            .toSorted(
              (one, other) =>
                other.priority - one.priority || due(one) - due(other) || one.item - other.item,
            )
            .map(({ item }) => item);
          expect(queue.size).toBe(expected.length);
          const taken: number[] = [];
          while (queue.size > 0) taken.push(...take(queue, limit));
          expect(taken).toEqual(expected);
        },
      ),
    );
  });

  test("keys take turns by bytes where they are known, also over several batches", () => {
    const large = Array.from({ length: 40 }, () => ({ key: "large", bytes: 100 }));
    const small = Array.from({ length: 400 }, () => ({ key: "small", bytes: 10 }));
    const queue = queueOf(...large, ...small);
    const bytes = { large: 0, small: 0 };
    for (let batch = 0; batch < 30; batch++) {
      for (const item of take(queue, 7)) {
        const key = item < large.length ? "large" : "small";
        bytes[key] += key === "large" ? 100 : 10;
      }
      expect(Math.abs(bytes.large - bytes.small)).toBeLessThanOrEqual(200);
    }
    expect(bytes.small).toBeGreaterThan(800);
  });

  test("what left is not held, and the rest keeps its order", () => {
    const queue = new ItemQueue<number, number>();
    const jobs = Array.from({ length: 1_000 }, (_, item) => job(item));
    for (const each of jobs) queue.push(each);
    for (const each of jobs) if (each.item % 10 !== 0) each.reject("gone");
    for (let item = 1_000; item < 1_010; item++) queue.push(job(item));
    expect(queue.size).toBe(110);
    expect(take(queue)).toEqual([
      ...Array.from({ length: 100 }, (_, tens) => tens * 10),
      ...Array.from({ length: 10 }, (_, index) => 1_000 + index),
    ]);
  });
});
