import type { FenceMirror } from "./shared-store.ts";

/** A fence that was asked for. A push removes it, so an answer that was on its way then finds it gone and is not kept. */
interface Slot {
  value: string | undefined;
}

export type FenceSlots = ReadonlyMap<string, Slot>;

/**
 * The fences as the pushes of one tracked connection tell. A reply reaches its reader a microtask after the pushes that came in
 * the same chunk were handled; therefore a read marks its fences when it is sent, and fills only the marks that still stand.
 */
export class RedisMirror implements FenceMirror {
  readonly strict = false;
  readonly #trusted: () => boolean;
  readonly #maxFences: number;
  #slots = new Map<string, Slot>();
  #version = 0;

  constructor(trusted: () => boolean, maxFences: number) {
    this.#trusted = trusted;
    this.#maxFences = maxFences;
  }

  version(): number | undefined {
    return this.#trusted() ? this.#version : undefined;
  }

  valueOf(fence: string): string | undefined {
    return this.#slots.get(fence)?.value;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** To be called in the turn in which the read is sent. */
  mark(fences: Iterable<string>): FenceSlots {
    const marked = new Map<string, Slot>();
    for (const fence of fences) {
      const slot = this.#slots.get(fence) ?? this.#add(fence);
      marked.set(fence, slot);
    }
    return marked;
  }

  fill(marked: FenceSlots, fence: string, value: string | undefined): void {
    const slot = marked.get(fence);
    if (slot !== undefined && this.#slots.get(fence) === slot) slot.value = value;
  }

  /** The fences changed, or are about to. */
  forget(fences: Iterable<string>): void {
    this.#version++;
    for (const fence of fences) this.#slots.delete(fence);
  }

  /** Nothing is known any more. */
  drop(): void {
    this.#version++;
    this.#slots = new Map();
  }

  #add(fence: string): Slot {
    if (this.#slots.size >= this.#maxFences) {
      const [oldest] = this.#slots.keys();
      if (oldest !== undefined) this.#slots.delete(oldest);
    }
    const slot: Slot = { value: undefined };
    this.#slots.set(fence, slot);
    return slot;
  }
}
