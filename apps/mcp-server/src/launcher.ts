import { readFileSync } from "node:fs";
import type { Logger } from "./log.ts";

const CHECK_MS = 500;

/**
 * Resolves when the npm or npx that started this process through a shell is gone: a signal sent to them ends that shell and does
 * not reach its child. Never resolves for a process that was started otherwise.
 */
export function launcherGone(
  logger: Logger,
  {
    env = process.env,
    parent = (): number => process.ppid,
    firstIsLauncher = isFirstProcessNpm,
  } = {},
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (env["npm_command"] === undefined) return promise;
  const launcher = parent();
  // It went while this process was starting, unless it is the first process itself, as in a container.
  if (launcher === 1 && !firstIsLauncher()) return Promise.resolve();
  const timer = setInterval(() => {
    if (parent() === launcher) return;
    clearInterval(timer);
    logger.info("stopping: the npm that started this process is gone");
    resolve();
  }, CHECK_MS).unref();
  return promise;
}

/** npm names its process after its command, for example `npm start`; where that cannot be read it is taken to be there. */
function isFirstProcessNpm(): boolean {
  try {
    return /^(npm|npx|node|sh)/.test(readFileSync("/proc/1/comm", "utf8"));
  } catch {
    return true;
  }
}
