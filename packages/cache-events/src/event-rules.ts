import type { Engine } from "./engine.ts";
import { CacheOptionError, RuleError } from "./errors.ts";
import type { Rules } from "./options.ts";
import { isTags } from "./options.ts";

/** What an event invalidates. */
export class EventRules<E extends { readonly type: string }> {
  readonly #rules: Readonly<Record<string, ((event: never) => unknown) | undefined>>;
  readonly #engine: Engine;

  constructor(rules: Rules<E>, engine: Engine) {
    this.#rules = rules;
    this.#engine = engine;
  }

  has(type: unknown): boolean {
    return typeof type === "string" && this.#ruleOf(type) !== undefined;
  }

  /**
   * Hands the tags of the event to `invalidate`, at once; none for a type without a rule.
   *
   * @throws RuleError when the rule is broken; everything is invalidated then.
   */
  async apply(event: E, invalidate: (tags: readonly string[]) => Promise<void>): Promise<void> {
    const rule = this.#ruleOf(event.type);
    let tags: unknown;
    try {
      tags = rule === undefined ? [] : rule(event as never);
      if (!isTags(tags)) throw new CacheOptionError("tags", "an array of strings", tags);
    } catch (cause) {
      await this.#engine.clear(undefined);
      throw new RuleError(event.type, cause);
    }
    await invalidate(tags);
  }

  #ruleOf(type: string): ((event: never) => unknown) | undefined {
    return Object.hasOwn(this.#rules, type) ? this.#rules[type] : undefined;
  }
}
