import { once } from "node:events";
import { expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import { text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

test("a listener that throws, then or later, is a warning, and keeps nothing from the next one", async () => {
  await using server = await new TestServer().start();
  await using pool = new ConnectionPool(server.origin);
  const heard: string[] = [];
  const warnings: string[] = [];
  const warn = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", warn);
  pool.once("open", () => {
    throw new Error("at once");
  });
  pool.on("open", async () => {
    await Promise.resolve();
    throw new Error("later");
  });
  pool.on("open", () => {
    throw Object.create(null) as Error;
  });
  pool.on("open", () => heard.push("open"));
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  while (warnings.length < 3) await once(process, "warning");
  process.off("warning", warn);
  expect(heard).toEqual(["open"]);
  expect(pool.listenerCount("open")).toBe(3);
  const expected = ["at once", "object", "later"].map(
    (why) => `a listener of "open" threw: ${why}`,
  );
  expect(warnings).toEqual(expected);
});
