import { setImmediate } from "node:timers/promises";
import type { ToolCache } from "@mcp-accel/cache-events/mcp";
import type { ToolMiddleware, ToolResult } from "../host/tool-runtime.ts";
import type { SwarmEvents } from "../swarm/events.ts";
import type { SwarmStore } from "../swarm/store.ts";

export interface ShadowStats {
  /** Results that the cache would have served and that were computed as well. */
  readonly compared: number;
  readonly mismatches: number;
  /** Differences that a write in between may explain. */
  readonly inconclusive: number;
}

interface ShadowOptions {
  readonly store: Pick<SwarmStore, "version">;
  readonly events: SwarmEvents;
  /** Hears the tool's name and nothing of its arguments or result. */
  readonly onMismatch: (tool: string) => void;
}

/** Fills a cache and compares what it would serve with what the tool answers; serves nothing of it. */
export class ShadowCache implements Disposable {
  readonly #cache: ToolCache;
  readonly #store: ShadowOptions["store"];
  readonly #onMismatch: ShadowOptions["onMismatch"];
  readonly #subscription: Disposable;
  #changes = 0;
  #compared = 0;
  #mismatches = 0;
  #inconclusive = 0;

  constructor(cache: ToolCache, { store, events, onMismatch }: ShadowOptions) {
    this.#cache = cache;
    this.#store = store;
    this.#onMismatch = onMismatch;
    this.#subscription = events.subscribe(() => void (this.#changes += 1));
  }

  readonly around: ToolMiddleware = async (call, next) => {
    if (call.tool.cacheTags === undefined) return next();
    const state = this.#state();
    let run: Promise<ToolResult> | undefined;
    let filled = false;
    // What the cache has is looked up, and what it keeps is fenced, before the tool reads.
    const cached = this.#cache.call<ToolResult>(toolCallOf(call), () => {
      filled = true;
      return (run ??= next());
    });
    run ??= next();
    this.#compare(call.tool.name, state, cached, run, () => filled).catch(() => {
      // The tool failed, or the caller gave up: there is nothing to compare.
    });
    return run;
  };

  stats(): ShadowStats {
    return {
      compared: this.#compared,
      mismatches: this.#mismatches,
      inconclusive: this.#inconclusive,
    };
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  async #compare(
    tool: string,
    state: string,
    cached: Promise<ToolResult>,
    run: Promise<ToolResult>,
    filled: () => boolean,
  ): Promise<void> {
    const [found, computed] = await Promise.all([cached, run]);
    if (filled()) return;
    this.#compared += 1;
    if (JSON.stringify(found) === JSON.stringify(computed)) return;
    // A write is durable before its event is told.
    await setImmediate();
    if (this.#state() !== state) {
      this.#inconclusive += 1;
      return;
    }
    this.#mismatches += 1;
    this.#onMismatch(tool);
  }

  #state(): string {
    return `${this.#store.version()} ${this.#changes}`;
  }
}

/** A call as the cache knows it. */
export function toolCallOf({
  tool,
  args,
  context,
}: Parameters<ToolMiddleware>[0]): Parameters<ToolCache["call"]>[0] {
  return {
    name: tool.name,
    arguments: args,
    principal: context.principal,
    signal: context.signal,
  };
}
