import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Recorder } from "../src/testing/history.ts";
import type { History, Subject } from "../src/testing/history.ts";
import { judge } from "../src/testing/judge.ts";

const scopes = ["red", "green", "all"] as const;
const subjects: readonly Subject[] = [
  { name: "a", scopes: ["red", "all"] },
  { name: "b", scopes: ["red", "green", "all"] },
  { name: "c", scopes: ["all"] },
];
const worker = fc.nat({ max: 2 });
const moment = fc.nat({ max: 30 });

interface Read {
  readonly worker: number;
  readonly subject: Subject;
  readonly began: number;
  readonly valueBegan: number;
  readonly set: number;
}
interface CutSeen {
  readonly worker: number;
  readonly scope: string;
  readonly called: number;
  readonly took: number;
  readonly resolved: boolean;
}

const reads = fc.array(
  fc.record({
    worker,
    subject: fc.constantFrom(...subjects),
    began: moment,
    valueBegan: moment,
    set: fc.constantFrom(-1, -1, -1, 1, 2),
  }),
  { maxLength: 30, size: "max" },
);
const cuts = fc.array(
  fc.record({
    worker,
    scope: fc.constantFrom(...scopes),
    called: moment,
    took: fc.nat({ max: 10 }),
    resolved: fc.constantFrom(true, true, false),
  }),
  { maxLength: 20, size: "max" },
);
const settled = fc.option(moment, { nil: undefined });

describe("the judge", () => {
  test("finds what comparing every read with every invalidation finds", () => {
    let stale = 0;
    fc.assert(
      fc.property(reads, cuts, settled, fc.nat({ max: 3 }), fc.boolean(), (...world) => {
        const [seen, made, setAt, tolerated, refusedBindLocally] = world;
        const histories = historiesOf(seen, made, setAt);
        const verdict = judge(histories, { tolerated, refusedBindLocally });
        const expected = seen.filter((read) =>
          made.some((cut) => isBroken(read, cut, setAt, tolerated, refusedBindLocally)),
        );
        expect(verdict.reads).toBe(seen.length);
        expect(verdict.staleReads).toBe(expected.length);
        expect(verdict.evidence.map((one) => one.subject).toSorted()).toEqual(
          expected.map((one) => one.subject.name).toSorted(),
        );
        for (const { began, valueBegan, invalidation } of verdict.evidence) {
          expect(invalidation.called).toBeGreaterThan(valueBegan);
          expect(invalidation.resolved).toBeLessThan(began - tolerated);
        }
        stale += expected.length;
      }),
      { numRuns: 2_000 },
    );
    expect(stale).toBeGreaterThan(1_000);
  });

  test("decides for the cache when moments are equal", () => {
    const [subject] = subjects;
    const read = { worker: 0, subject: subject ?? fail(), set: -1 };
    const cut = { worker: 1, scope: "red", called: 5, took: 3, resolved: true };
    const stale = (began: number, valueBegan: number): number =>
      judge(historiesOf([{ ...read, began, valueBegan }], [cut], undefined)).staleReads;
    expect([stale(9, 4), stale(8, 4), stale(9, 5)]).toEqual([1, 0, 0]);
  });

  test("counts all stale reads and keeps evidence of the first", () => {
    const [subject = fail()] = subjects;
    const read = { worker: 0, subject, began: 20, valueBegan: 1, set: -1 };
    const cut = { worker: 1, scope: "red", called: 5, took: 3, resolved: true };
    const verdict = judge(
      historiesOf(
        Array.from({ length: 40 }, () => read),
        [cut],
        undefined,
      ),
      { evidence: 2 },
    );
    expect(verdict).toMatchObject({ reads: 40, staleReads: 40, longest: 12 });
    expect(verdict.evidence).toHaveLength(2);
  });

  test("takes a hundred thousand reads and ten thousand invalidations", () => {
    const [subject = fail()] = subjects;
    const recorder = new Recorder(0);
    for (let at = 0; at < 100_000; at++) {
      if (at % 10 === 0) recorder.cut(["red"], at, at + 0.5, true);
      recorder.read(subject, at + 0.75, at + 0.25, -1);
    }
    expect(judge([recorder.history()])).toMatchObject({ reads: 100_000, staleReads: 0 });
  });
});

function isBroken(
  read: Read,
  cut: CutSeen,
  setAt: number | undefined,
  tolerated: number,
  refusedBindLocally: boolean,
): boolean {
  const binds = cut.resolved || (refusedBindLocally && cut.worker === read.worker);
  const valueBegan =
    read.set < 0 ? read.valueBegan : read.set === 1 ? (setAt ?? Infinity) : Infinity;
  return (
    binds &&
    read.subject.scopes.includes(cut.scope) &&
    cut.called + cut.took < read.began - tolerated &&
    cut.called > valueBegan
  );
}

function historiesOf(
  seen: readonly Read[],
  made: readonly CutSeen[],
  setAt: number | undefined,
): readonly History[] {
  const recorders = [0, 1, 2].map((number) => new Recorder(number));
  for (const { worker: at, subject, began, valueBegan, set } of seen)
    recorders[at]?.read(subject, began, valueBegan, set);
  for (const { worker: at, scope, called, took, resolved } of made)
    recorders[at]?.cut([scope], called, called + took, resolved);
  if (setAt !== undefined) recorders[0]?.set(1, setAt);
  // As after the way from another process.
  return recorders.map((recorder) => structuredClone(recorder.history()));
}

function fail(): never {
  throw new Error("no subject");
}
