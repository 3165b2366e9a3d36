import type { Logger } from "../log.ts";
import { LiveConfig, type LiveConfigOptions } from "./live-config.ts";
import type { Config } from "./options.ts";
import { FileWatch, type After } from "./watch-file.ts";

export interface ReloadSource {
  readonly file: string;
  readonly load: LiveConfigOptions["load"];
}

interface FollowOptions extends ReloadSource {
  readonly apply: LiveConfigOptions["apply"];
  readonly logger: Logger;
  readonly after?: After;
}

/** Reads the configuration again at SIGHUP and when its file has changed. */
export function followConfig(
  config: Config,
  { file, load, apply, logger, ...timing }: FollowOptions,
): Disposable {
  const live = new LiveConfig(config, {
    load,
    log: logger,
    apply: (wanted, changed) => {
      apply(wanted, changed);
      logger.level = wanted["log.level"];
    },
  });
  const watch = new FileWatch(file, {
    ...timing,
    onChange: () => live.reload("the file has changed"),
    onError: ({ message }) =>
      logger.warn({ file, error: message }, "the file is not watched; SIGHUP still reads it"),
  });
  // It may have changed while the server was starting.
  live.reload("the file has changed", { sayUnchanged: false });
  const onHangup = (): void => live.reload("SIGHUP");
  process.on("SIGHUP", onHangup);
  return {
    [Symbol.dispose]: () => {
      process.off("SIGHUP", onHangup);
      watch[Symbol.dispose]();
    },
  };
}
