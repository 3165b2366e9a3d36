import { expect, test } from "vitest";
import { copiesOf } from "./planted-copies.ts";

type Steps = Record<"few" | "many", Record<string, number>>;

const copies = copiesOf("pool");

test("joining, leaving from the middle, timing out and being served cost the same beside a hundred thousand waiters as beside a hundred", async () => {
  const { few, many } = (await copies.run("sound", undefined, "pool/count-steps.ts", [])) as Steps;
  const dearer = Object.keys(few).filter(
    (operation) => few[operation]! < 5 || many[operation]! > 2 * few[operation]!,
  );
  expect(Object.keys(few)).toHaveLength(4);
  expect(dearer).toEqual([]);
}, 120_000);

test("a search through the queue would show", async () => {
  const bug = {
    file: "linked-queue.ts",
    edits: [
      [
        "    if (!node.queued) return false;\n",
        "    if (!node.queued) return false;\n    for (let at = this.#first; at !== node && at !== undefined; at = at.next) this.#size += 0;\n",
      ],
    ],
  } as const;
  const { few, many } = (await copies.run("search", bug, "pool/count-steps.ts", [])) as Steps;
  expect(many["abortInTheMiddle"]).toBeGreaterThan(50 * few["abortInTheMiddle"]!);
}, 120_000);
