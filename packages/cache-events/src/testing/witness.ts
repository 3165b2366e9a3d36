import type {
  CacheUnderTest,
  ComputeContextUnderTest,
  KeyOptionsUnderTest,
} from "./cache-under-test.ts";
import { has } from "./cache-under-test.ts";
import type { Subject } from "./history.ts";
import { Recorder } from "./history.ts";

/** A key as the suite uses it: the tags that every reader declares, and those that only its compute names. */
export interface Target extends Subject {
  readonly key: string;
  readonly namespace: string | undefined;
  readonly tags: readonly string[];
  readonly lateTags: readonly string[];
}

export type Cut =
  | { readonly kind: "tags"; readonly tags: readonly string[] }
  | {
      readonly kind: "write";
      readonly tags: readonly string[];
      readonly mutate?: () => Promise<void>;
    }
  | { readonly kind: "delete" | "set"; readonly target: Target }
  | { readonly kind: "clearPrefix"; readonly prefix: string }
  | { readonly kind: "clearNamespace"; readonly namespace: string }
  | { readonly kind: "clear" };

export interface ReadPlan {
  /** What the compute waits for. */
  readonly work?: (context: ComputeContextUnderTest | undefined) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** The value of a key: which it is, and when its compute began. */
interface Stamp {
  readonly subject: string;
  readonly began: number;
  /** Number of the `set` that wrote it, or -1. */
  readonly set: number;
}

const everything = "everything";
const tagScope = (tag: string): string => `tag ${tag}`;
const prefixScope = (prefix: string): string => `prefix ${prefix}`;
const namespaceScope = (namespace: string): string => `namespace ${namespace}`;
const keyScope = (name: string): string => `key ${name}`;

export interface TargetInit {
  readonly key: string;
  readonly namespace?: string | undefined;
  readonly tags?: readonly string[];
  readonly lateTags?: readonly string[];
  /** Prefixes of the key that the suite clears. */
  readonly prefixes?: readonly string[];
}

export function targetOf({
  key,
  namespace,
  tags = [],
  lateTags = [],
  prefixes = [],
}: TargetInit): Target {
  const name = JSON.stringify(namespace === undefined ? [key] : [namespace, key]);
  const scopes = [
    keyScope(name),
    ...[...tags, ...lateTags].map(tagScope),
    ...prefixes.map(prefixScope),
    namespaceScope(namespace ?? ""),
    everything,
  ];
  return { name, scopes, key, namespace, tags, lateTags };
}

/** Uses one cache and records what it sees. */
export class Witness {
  readonly cache: CacheUnderTest;
  readonly recorder: Recorder;
  readonly #clock: () => number;
  #sets = 0;

  constructor(cache: CacheUnderTest, worker: number, clock: () => number) {
    this.cache = cache;
    this.recorder = new Recorder(worker);
    this.#clock = clock;
  }

  /** Rejects as the cache does, and counts it. */
  async read(target: Target, { work, signal }: ReadPlan = {}): Promise<void> {
    const { counts } = this.recorder;
    let computed = false;
    const compute = async (context?: ComputeContextUnderTest): Promise<Stamp> => {
      computed = true;
      counts.computes++;
      const began = this.#clock();
      await work?.(context);
      if (target.lateTags.length > 0) context?.tag?.(...target.lateTags);
      return { subject: target.name, began, set: -1 };
    };
    const options = { ...place(target), tags: target.tags, ...(signal && { signal }) };
    const began = this.#clock();
    try {
      const value = await this.cache.getOrSet(target.key, compute, options);
      if (!computed) counts.hits++;
      this.#saw(target, began, value);
    } catch (error) {
      counts.failures++;
      throw error;
    }
  }

  async get(target: Target): Promise<void> {
    const began = this.#clock();
    this.#saw(target, began, await this.cache.get?.(target.key, place(target)));
  }

  peek(target: Target): void {
    const began = this.#clock();
    this.#saw(target, began, this.cache.peek?.(target.key, place(target)));
  }

  /** Rejects as the cache does, and records it as refused. */
  async cut(cut: Cut): Promise<void> {
    if (cut.kind === "set") return this.#set(cut.target);
    if (cut.kind === "write") return this.#write(cut.tags, cut.mutate);
    await this.#record(scopesOf(cut), () => this.#invalidate(cut));
  }

  supports(kind: Cut["kind"]): boolean {
    return kind === "tags" || has(this.cache, kind);
  }

  async #invalidate(cut: Exclude<Cut, { kind: "set" | "write" }>): Promise<void> {
    const { cache } = this;
    switch (cut.kind) {
      case "tags":
        await cache.invalidateByTags(cut.tags);
        return;
      case "delete":
        await cache.delete?.(cut.target.key, place(cut.target));
        return;
      case "clearPrefix":
        await cache.clearPrefix?.(cut.prefix);
        return;
      case "clearNamespace":
        await cache.clearNamespace?.(cut.namespace);
        return;
      default:
        await cache.clear?.();
    }
  }

  async #set(target: Target): Promise<void> {
    const number = this.recorder.worker * 2 ** 32 + this.#sets++;
    const stamp: Stamp = { subject: target.name, began: this.#clock(), set: number };
    const tags = [...target.tags, ...target.lateTags];
    await this.#record([keyScope(target.name)], async () => {
      await this.cache.set?.(target.key, stamp, { ...place(target), tags });
      this.recorder.set(number, this.#clock());
    });
  }

  /** What was computed before the mutation ended is invalid once `write` has resolved. */
  async #write(tags: readonly string[], mutate = async (): Promise<void> => {}): Promise<void> {
    let called = this.#clock();
    const mutation = async (): Promise<void> => {
      await mutate();
      called = this.#clock();
    };
    await this.#record(
      tags.map(tagScope),
      () => this.cache.write?.(tags, mutation),
      () => called,
    );
  }

  async #record(
    scopes: readonly string[],
    call: () => Promise<unknown> | undefined,
    calledAt?: () => number,
  ): Promise<void> {
    const now = this.#clock();
    try {
      await call();
    } catch (error) {
      this.recorder.cut(scopes, calledAt?.() ?? now, this.#clock(), false);
      throw error;
    }
    this.recorder.cut(scopes, calledAt?.() ?? now, this.#clock(), true);
  }

  #saw(target: Target, began: number, value: unknown): void {
    if (value === undefined || value === null) {
      this.recorder.counts.empty++;
      return;
    }
    if (!isStamp(value) || value.subject !== target.name) this.recorder.foreign(target, value);
    else this.recorder.read(target, began, value.began, value.set);
  }
}

function scopesOf(cut: Exclude<Cut, { kind: "set" | "write" }>): readonly string[] {
  switch (cut.kind) {
    case "tags":
      return cut.tags.map(tagScope);
    case "delete":
      return [keyScope(cut.target.name)];
    case "clearPrefix":
      return [prefixScope(cut.prefix)];
    case "clearNamespace":
      return [namespaceScope(cut.namespace)];
    default:
      return [everything];
  }
}

function place({ namespace }: Target): KeyOptionsUnderTest {
  return namespace === undefined ? {} : { namespace };
}

function isStamp(value: unknown): value is Stamp {
  if (typeof value !== "object" || value === null) return false;
  const { subject, began, set } = value as Partial<Stamp>;
  return typeof subject === "string" && typeof began === "number" && typeof set === "number";
}
