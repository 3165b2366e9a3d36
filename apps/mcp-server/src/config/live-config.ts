import { shown } from "./commands.ts";
import { changesBetween } from "./live.ts";
import { checkTogether } from "./load.ts";
import { options, type Config, type Option } from "./options.ts";

export interface LiveConfigOptions {
  /** Reads flags, environment and file anew. @throws ConfigError */
  readonly load: () => Config;
  /** Puts the changed options into effect: all, or none when it throws. */
  readonly apply: (config: Config, changed: readonly (keyof Config)[]) => void;
  readonly log: {
    info(details: object, message: string): void;
    warn(details: object, message: string): void;
    error(details: object, message: string): void;
  };
}

/** The configuration that is in effect. What is wrong with a new one is reported, and the old one stays as it is. */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  #running: Config;

  constructor(running: Config, configOptions: LiveConfigOptions) {
    this.#running = running;
    this.#options = configOptions;
  }

  get running(): Config {
    return this.#running;
  }

  /** Never throws. @param reason is logged, for example `SIGHUP`. */
  reload(reason: string, { sayUnchanged = true } = {}): void {
    const { load, apply, log } = this.#options;
    try {
      const { effective, applied, needRestart } = changesBetween(this.#running, load());
      checkTogether(effective);
      if (applied.length > 0) apply(effective, applied);
      const before = this.#running;
      this.#running = effective;
      for (const path of applied)
        log.info(
          { option: path, from: visible(path, before), to: visible(path, effective), reason },
          "switched",
        );
      if (needRestart.length > 0)
        log.warn(
          { options: needRestart, reason },
          "needs a restart: these options stay as they are",
        );
      if (sayUnchanged && applied.length + needRestart.length === 0)
        log.info({ reason }, "the configuration has not changed");
    } catch (error) {
      const { message } = error as Error;
      log.error({ reason, error: message }, "the new configuration is not used; the old one stays");
    }
  }
}

function visible(path: keyof Config, config: Config): unknown {
  const option = (options as readonly Option[]).find((known) => known.path === path);
  return JSON.parse(shown(option ?? {}, config[path]));
}
