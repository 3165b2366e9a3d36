import { expect, test, vi } from "vitest";
import { launcherGone } from "../src/launcher.ts";
import { createLogger } from "../src/log.ts";

test("a server that npm started ends when its parent is gone, another one does not", async () => {
  vi.useFakeTimers();
  try {
    const logger = createLogger("silent");
    let parent = 100;
    const ended: string[] = [];
    const watch = (name: string, env: NodeJS.ProcessEnv): void =>
      void launcherGone(logger, { env, parent: () => parent }).then(() => ended.push(name));
    watch("npm", { npm_command: "run" });
    watch("shell", {});
    await vi.advanceTimersByTimeAsync(10_000);
    expect(ended).toEqual([]);
    parent = 1;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(ended).toEqual(["npm"]);
  } finally {
    vi.useRealTimers();
  }
});
