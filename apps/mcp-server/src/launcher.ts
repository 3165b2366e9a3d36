import type { Logger } from "./log.ts";

const CHECK_MS = 500;

/**
 * Resolves when the npm or npx that started this process through a shell is gone: a signal sent to them ends that shell and does
 * not reach its child. Never resolves for a process that was started otherwise.
 */
export function launcherGone(
  logger: Logger,
  { env = process.env, parent = (): number => process.ppid } = {},
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (env["npm_command"] === undefined) return promise;
  const launcher = parent();
  const timer = setInterval(() => {
    if (parent() === launcher) return;
    clearInterval(timer);
    logger.info("stopping: the npm that started this process is gone");
    resolve();
  }, CHECK_MS).unref();
  return promise;
}
