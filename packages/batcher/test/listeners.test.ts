import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const thrown: readonly [string, unknown][] = [
  ["an error", new Error("broken")],
  ["an object without a prototype", Object.create(null)],
  ["a revoked proxy", revoked()],
  ["a symbol", Symbol("odd")],
  ["nothing", undefined],
];

const ways: readonly [string, (thrown: unknown) => unknown][] = [
  [
    "throws",
    (value) => {
      throw value;
    },
  ],
  ["rejects with", (value) => Promise.reject(value)],
];

/** How many process warnings and unhandled rejections a call brings. */
async function heard(call: () => Promise<unknown>) {
  let warnings = 0;
  let unhandled = 0;
  const onWarning = () => void warnings++;
  const onUnhandled = () => void unhandled++;
  process.on("warning", onWarning).on("unhandledRejection", onUnhandled);
  await call();
  await turn();
  process.off("warning", onWarning).off("unhandledRejection", onUnhandled);
  return { warnings, unhandled };
}

for (const [how, fail] of ways)
  test.each(thrown)(
    `a listener that ${how} %s becomes a warning and disturbs nothing`,
    async (_, value) => {
      const batcher = new BatchProcessor<number, number>(async (items) => [...items]);
      let others = 0;
      batcher.on("batch", () => fail(value)).on("batch", () => others++);
      const result = await heard(async () => expect(await batcher.add(1)).toBe(1));
      expect(result).toEqual({ warnings: 1, unhandled: 0 });
      expect(others).toBe(1);
    },
  );

for (const [how, fail] of ways)
  test.each(thrown)(
    `an onProgress that ${how} %s becomes a warning and disturbs nothing`,
    async (_, value) => {
      const batcher = new BatchProcessor<number, number>(async (items) => [...items]);
      const onProgress = (() => fail(value)) as () => void;
      const result = await heard(async () =>
        expect(await batcher.processBatch(range(3), undefined, { onProgress })).toHaveLength(3),
      );
      expect(result).toEqual({ warnings: 1, unhandled: 0 });
    },
  );
