import { once } from "node:events";
import { SessionClosedError, StreamGuard } from "@mcp-accel/stream-guard";
import { expect, test } from "vitest";

test("close listeners hear the close once, a failing one does not hinder the others, and one that left hears nothing", async () => {
  const guard = new StreamGuard();
  const session = guard.open();
  const heard: string[] = [];
  const warning = once(process, "warning") as Promise<[Error]>;
  session.onClose(() => {
    throw new Error("broken listener");
  });
  session.onClose(() => heard.push("stays"));
  session.onClose(() => heard.push("left"))();
  await session.close("evicted");
  await session.close();
  expect(heard).toEqual(["stays"]);
  expect((await warning)[0].message).toContain("broken listener");
});

test("a signal asked for after the close is aborted already, with the reason", async () => {
  const session = new StreamGuard().open();
  await session.close("evicted");
  expect(session.signal.aborted).toBe(true);
  expect(session.signal.reason).toBeInstanceOf(SessionClosedError);
});
