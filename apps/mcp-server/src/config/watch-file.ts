import { readFileSync, watch, type FSWatcher } from "node:fs";
import { dirname, resolve } from "node:path";

/** Editors write a file in several steps. */
const SETTLE_MS = 200;

/** Starts a timer. @returns what stops it */
export type After = (delayMs: number, then: () => void) => () => void;

export interface WatchFileOptions {
  readonly onChange: () => void;
  readonly onError: (error: Error) => void;
  readonly after?: After;
}

/**
 * Tells when the content of a file has changed. Its folder is watched and not the file: editors and deployments put a new file, or
 * a new link, in the place of the old one. The folder may be a busy one, so the content decides and not the event.
 */
export class FileWatch implements Disposable {
  readonly #file: string;
  readonly #options: Required<WatchFileOptions>;
  readonly #watcher: FSWatcher | undefined;
  #content: string | undefined;
  #stopTimer: (() => void) | undefined;

  constructor(file: string, options: WatchFileOptions) {
    this.#file = resolve(file);
    this.#options = { after: onTimer, ...options };
    this.#content = this.#read();
    this.#watcher = this.#watch();
  }

  /** Something happened in the folder. A timer that runs is not started anew: a busy folder must not put it off for ever. */
  touch(): void {
    this.#stopTimer ??= this.#options.after(SETTLE_MS, () => this.#look());
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#stopTimer?.();
    // No timer starts any more.
    this.#stopTimer = () => {};
  }

  #watch(): FSWatcher | undefined {
    const { onError } = this.#options;
    try {
      const watcher = watch(dirname(this.#file), { persistent: false }, () => this.touch());
      return watcher.on("error", onError);
    } catch (error) {
      onError(error as Error);
      return undefined;
    }
  }

  #look(): void {
    this.#stopTimer = undefined;
    const content = this.#read();
    if (content === this.#content) return;
    this.#content = content;
    this.#options.onChange();
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#file, "utf8");
    } catch {
      return undefined;
    }
  }
}

const onTimer: After = (delayMs, then) => {
  const timer = setTimeout(then, delayMs).unref();
  return () => clearTimeout(timer);
};
