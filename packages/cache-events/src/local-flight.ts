import type { FenceLine, TagFence } from "./fence.ts";
import { unmoved } from "./fence.ts";
import { Flight } from "./flight.ts";
import type { Host } from "./host.ts";
import type { Space } from "./space.ts";

const fewTags = 16;

/** A flight fenced by the sequence of one process. */
export class LocalFlight extends Flight {
  readonly born: number;
  readonly #line: FenceLine;
  #tags: TagFence[] = [];
  /** The names of many tags; a few are looked through. */
  #names: Set<string> | undefined;
  #declared: number;

  constructor(host: Host, line: FenceLine, space: Space, key: string, tags: readonly string[]) {
    super(host, space, key);
    this.born = line.seq;
    this.#line = line;
    this.addTags(tags);
    this.#declared = this.#tags.length;
  }

  addTags(tags: readonly string[]): void {
    if (this.#tags.length + tags.length > fewTags)
      this.#names ??= new Set(this.#tags.map(({ tag }) => tag));
    for (const tag of tags) {
      if (this.#has(tag)) continue;
      this.#names?.add(tag);
      this.#tags.push(this.#line.hold(tag));
    }
  }

  /** Nothing that its result depends on, or that `tags` name, was invalidated since it began. */
  isFresh(tags: readonly string[]): boolean {
    const { born, space } = this;
    const line = this.#line;
    return (
      line.everything.seq <= born &&
      space.fence.seq <= born &&
      unmoved(this.#tags, born) &&
      tags.every((tag) => line.seqOf(tag) <= born)
    );
  }

  /** Ends the flight's hold on its tags; says whether one that came late had moved, for the readers that joined. */
  takeTags(): readonly TagFence[] {
    const tags = this.#tags;
    if (tags.length > this.#declared)
      this.lateMoved = !unmoved(tags.slice(this.#declared), this.born);
    this.#tags = [];
    return tags;
  }

  #has(tag: string): boolean {
    if (this.#names !== undefined) return this.#names.has(tag);
    for (const fence of this.#tags) if (fence.tag === tag) return true;
    return false;
  }
}
