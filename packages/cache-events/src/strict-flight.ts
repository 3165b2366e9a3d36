import { Flight } from "./flight.ts";
import type { Host } from "./host.ts";
import type { Space } from "./space.ts";
import type { FenceValues } from "./strict-fences.ts";

export type Begun = Pick<StrictFlight, "fences" | "born" | "replaces">;

/** A flight fenced by values of a shared store, all of them observed before it began. */
export class StrictFlight extends Flight {
  readonly fences: FenceValues;
  /** The near tier's sequence before the fences were observed. */
  readonly born: number;
  /** There was an entry when it began, of whatever age. */
  readonly replaces: boolean;
  readonly #lateTags = new Set<string>();

  constructor(host: Host, space: Space, key: string, begun: Begun) {
    super(host, space, key);
    this.fences = begun.fences;
    this.born = begun.born;
    this.replaces = begun.replaces;
  }

  get lateTags(): readonly string[] {
    return [...this.#lateTags];
  }

  addTags(tags: readonly string[]): void {
    for (const tag of tags) this.#lateTags.add(tag);
  }

  /** A reader that holds the same values may share the result: since they never repeat, none has moved in between. */
  matches(fences: FenceValues, except: string): boolean {
    if (fences.size !== this.fences.size) return false;
    for (const [key, value] of fences) {
      if (key !== except && this.fences.get(key) !== value) return false;
    }
    return true;
  }
}
