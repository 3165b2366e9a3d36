import { InvalidArgumentError } from "./errors.ts";
import { groupByPlace, originOf } from "./leak-groups.ts";
import type { Observation } from "./leak-findings.ts";
import type { Origin } from "./leak-origin.ts";
import { duration } from "./options.ts";

export interface TrackOptions {
  /** What sort of thing it is: `socket`, `file`. */
  readonly kind: string;
  readonly name?: string;
  /** How long it may be open; `handleTimeoutMs` of the detector by default. */
  readonly maxOpenMs?: number;
}

/** Says that a handle was closed. Emitters that emit `close` say so themselves. */
export interface TrackedHandle {
  close(): void;
  [Symbol.dispose](): void;
}

export interface HandleLimits {
  readonly handleTimeoutMs: number;
  readonly maxTracked: number;
  /** Dropped handles count for so long after the last one at their place. */
  readonly rearmMs: number;
  readonly now: () => number;
  /** A handle is in use, again perhaps. */
  readonly onOpen: (object: object) => void;
  /** A handle was closed, and should be collected. */
  readonly onClose: (object: object, handle: HandleInfo) => void;
}

export interface HandleInfo {
  readonly what: string;
  readonly name: string;
  readonly origin: Origin;
}

interface Handle extends HandleInfo {
  readonly openedMs: number;
  readonly maxOpenMs: number;
}

interface Dropped {
  readonly info: HandleInfo;
  count: number;
  lastMs: number;
  openMs: number;
}

const MAX_DROPPED_PLACES = 100;
const MAX_NAME_CHARS = 100;
/** What is given for a handle that is not watched. */
export const UNTRACKED: TrackedHandle = { close: () => {}, [Symbol.dispose]: () => {} };

/** Handles that are to be closed by whoever made them. */
export class Handles {
  readonly #limits: HandleLimits;
  /** With what ends the tracking of each. */
  readonly #open = new Map<Handle, () => void>();
  /** Ends the tracking of an object that is tracked anew. */
  readonly #forget = new WeakMap<object, () => void>();
  readonly #dropped = new Map<string, Dropped>();
  readonly #registry = new FinalizationRegistry<Handle>((handle) => {
    this.#drop(handle);
  });
  /** Handles collected without having been closed. */
  droppedCount = 0;
  /** Not watched, since `maxTracked` were. */
  skipped = 0;

  constructor(limits: HandleLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  track(object: object, options: TrackOptions, origin: Origin): TrackedHandle {
    const handle = this.#handle(options, origin);
    this.#limits.onOpen(object);
    this.#forget.get(object)?.();
    if (this.#open.size >= this.#limits.maxTracked) {
      this.skipped += 1;
      return UNTRACKED;
    }
    this.#registry.register(object, handle, handle);
    const ref = new WeakRef(object);
    const end = (): object | undefined => {
      const ended = ref.deref();
      if (ended !== undefined && isEmitter(ended)) ended.removeListener("close", close);
      if (!this.#open.delete(handle)) return undefined;
      this.#registry.unregister(handle);
      if (ended !== undefined) this.#forget.delete(ended);
      return ended;
    };
    const close = (): void => {
      const closed = end();
      if (closed !== undefined) this.#limits.onClose(closed, handle);
    };
    this.#open.set(handle, end);
    this.#forget.set(object, end);
    if (isEmitter(object)) object.once("close", close);
    return { close, [Symbol.dispose]: close };
  }

  look(): readonly Observation[] {
    const now = this.#limits.now();
    const late = [...this.#open.keys()]
      .filter(({ openedMs, maxOpenMs }) => now - openedMs >= maxOpenMs)
      .map(({ what, name, origin, openedMs }) => ({ what, name, origin, ageMs: now - openedMs }));
    const open = groupByPlace(late).map((group): Observation => ({
      kind: "openHandle",
      origin: originOf(group),
      evidence: {
        what: group.what,
        handles: group.count,
        openMs: group.oldestMs,
        examples: group.examples.join(", "),
      },
    }));
    return [...open, ...this.#droppedNow(now)];
  }

  stop(): void {
    for (const end of this.#open.values()) end();
    this.#dropped.clear();
  }

  #handle({ kind, name = kind, maxOpenMs }: TrackOptions, origin: Origin): Handle {
    return {
      what: kind,
      name,
      origin,
      openedMs: this.#limits.now(),
      maxOpenMs: maxOpenMs ?? this.#limits.handleTimeoutMs,
    };
  }

  #drop(handle: Handle): void {
    if (!this.#open.delete(handle)) return;
    this.droppedCount += 1;
    const now = this.#limits.now();
    const key = `${handle.what} ${handle.origin.place}`;
    const dropped = this.#dropped.get(key);
    if (dropped === undefined && this.#dropped.size >= MAX_DROPPED_PLACES) return;
    const { count = 0, openMs = 0 } = dropped ?? {};
    const longestMs = Math.max(openMs, Math.round(now - handle.openedMs));
    this.#dropped.set(key, { info: handle, count: count + 1, lastMs: now, openMs: longestMs });
  }

  #droppedNow(now: number): readonly Observation[] {
    const observations: Observation[] = [];
    for (const [key, { info, count, lastMs, openMs }] of this.#dropped) {
      const { what, name, origin } = info;
      if (now - lastMs >= this.#limits.rearmMs) {
        this.#dropped.delete(key);
        continue;
      }
      const group = { origin, what, count, bytes: 0, oldestMs: openMs, examples: [name] };
      const evidence = { what, handles: count, openMs, examples: name };
      observations.push({ kind: "droppedHandle", origin: originOf(group), evidence });
    }
    return observations;
  }
}

/** @throws InvalidArgumentError */
export function checkTracked(object: unknown, { kind, name, maxOpenMs }: TrackOptions): void {
  if ((typeof object !== "object" && typeof object !== "function") || object === null)
    throw new InvalidArgumentError("object", "an object", object);
  for (const [argument, value] of Object.entries({ kind, name: name ?? kind })) {
    if (typeof value !== "string" || value === "" || value.length > MAX_NAME_CHARS)
      throw new InvalidArgumentError(argument, `1 to ${MAX_NAME_CHARS} characters`, value);
  }
  if (maxOpenMs !== undefined) duration("maxOpenMs", maxOpenMs);
}

interface EmitterLike {
  once(event: "close", listener: () => void): unknown;
  removeListener(event: "close", listener: () => void): unknown;
}

function isEmitter(object: object): object is EmitterLike {
  const { once, removeListener } = object as Partial<EmitterLike>;
  return [once, removeListener].every((method) => typeof method === "function") && "emit" in object;
}
