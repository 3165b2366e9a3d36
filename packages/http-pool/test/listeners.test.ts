import { once } from "node:events";
import { expect, test } from "vitest";
import { ConnectionPool, PoolAgent } from "../src/index.ts";
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

test("whoever listens to an agent again hears each event once, and one that goes leaves the others", async () => {
  await using server = await new TestServer().start();
  await using agent = new PoolAgent();
  const heard: string[] = [];
  const listener = (name: string) => (): void => void heard.push(name);
  const [first, second] = [listener("first"), listener("second")];
  await text(agent.fetch(server.origin));
  agent.on("request", first);
  agent.off("request", first);
  agent.on("request", first);
  agent.on("request", second);
  await text(agent.fetch(server.origin));
  await agent.warmUp(server.origin);
  expect(heard.splice(0)).toEqual(["first", "second"]);
  agent.off("request", first);
  await text(agent.fetch(server.origin));
  expect(heard).toEqual(["second"]);
});
