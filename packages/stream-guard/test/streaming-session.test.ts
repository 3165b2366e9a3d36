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

test("a wait that is granted in the turn in which its session closes rejects, and nothing stays taken", async () => {
  const guard = new StreamGuard({ maxMemoryBytes: 10, sessionMaxMemoryBytes: 10 });
  const [waiting, holder] = [guard.open(), guard.open()];
  holder.reserve(8);
  const granted = waiting.reserveWhenAvailable(5);
  holder.release(8);
  void waiting.close();
  await expect(granted).rejects.toThrow(SessionClosedError);
  expect(guard.stats()).toMatchObject({ usedBytes: 0, waiting: 0 });
});
