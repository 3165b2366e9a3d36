import { InvalidArgumentError } from "./errors.ts";
import { MEMORY_LEVELS, rank } from "./level.ts";
import type { MemoryLevel } from "./level.ts";
import { fn } from "./options.ts";
import { safely } from "./safe-emit.ts";

export type HookLevel = Exclude<MemoryLevel, "normal">;

export interface HookErrorEvent {
  readonly level: MemoryLevel;
  readonly error: unknown;
}

interface LevelChange {
  readonly level: MemoryLevel;
  readonly previous: MemoryLevel;
}

interface Hook<E> {
  readonly level: HookLevel;
  readonly run: (event: E) => void | Promise<void>;
  running: boolean;
}

/** Hooks that free memory, each run when its level is entered from below, and never twice at once. */
export class MemoryHooks<E extends LevelChange> {
  readonly #hooks = new Set<Hook<E>>();
  readonly #onError: (event: HookErrorEvent) => void;
  #started = 0;
  #errors = 0;

  constructor(onError: (event: HookErrorEvent) => void) {
    this.#onError = onError;
  }

  /** Hooks run so far. */
  get started(): number {
    return this.#started;
  }

  get errors(): number {
    return this.#errors;
  }

  /** @throws InvalidArgumentError */
  add(level: HookLevel, run: (event: E) => void | Promise<void>): () => void {
    if (!MEMORY_LEVELS.includes(level) || rank(level) === 0)
      throw new InvalidArgumentError("level", "elevated, high or critical", level);
    const hook: Hook<E> = { level, run: fn("hook", run), running: false };
    this.#hooks.add(hook);
    return () => {
      this.#hooks.delete(hook);
    };
  }

  onLevel(event: E): void {
    for (const hook of this.#hooks) {
      const entered =
        rank(event.previous) < rank(hook.level) && rank(event.level) >= rank(hook.level);
      if (entered && !hook.running) void this.#run(hook, event);
    }
  }

  async #run(hook: Hook<E>, event: E): Promise<void> {
    hook.running = true;
    this.#started += 1;
    try {
      await hook.run(event);
    } catch (error) {
      this.#errors += 1;
      safely(() => this.#onError({ level: hook.level, error }));
    } finally {
      hook.running = false;
    }
  }
}
