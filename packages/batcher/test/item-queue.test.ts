import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { patienceMs } from "../src/fair-bucket.ts";
import { ItemQueue } from "../src/item-queue.ts";
import { Job } from "../src/job.ts";

interface Wish {
  readonly priority?: number;
  readonly key?: string;
  readonly at?: number;
  readonly deadlineMs?: number;
}

function job(item: number, { priority = 0, key, at = 0, deadlineMs = Infinity }: Wish = {}) {
  const outcome = { resolve: () => undefined, reject: () => undefined };
  const host = { onSettled: () => undefined };
  return new Job<number, number>(host, item, outcome, 0, at, { priority, key, deadlineMs });
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
            if (removed) queue.remove(jobs[index] as never);
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

  test("removing a job that is not queued changes nothing", () => {
    const queue = queueOf({});
    queue.remove(job(9));
    queue.remove(job(9, { priority: 7 }));
    expect(take(queue)).toEqual([0]);
  });
});
