import { join, sep } from "node:path";

/** Frames give paths or URLs. */
const OWN: readonly string[] = [join(import.meta.dirname, sep), new URL(".", import.meta.url).href];
const FRAME =
  /^\s*at (?:(?<name>.*?) \()?(?<file>(?:file:\/\/|\/|[A-Za-z]:\\|node:|\[eval|data:).*?)\)?$/;
const MAX_STACK_CHARS = 2000;

/** Where something was made. One object for each place, however much is made there. */
export interface Origin {
  readonly place: string;
  readonly stack: string | undefined;
}

const UNSAMPLED: Origin = { place: "(place not sampled)", stack: undefined };

/** Keeps the stacks of a share of what is made: as text, since a captured stack would keep what it mentions alive. */
export class Origins {
  readonly #ratio: number;
  readonly #maxStacks: number;
  readonly #random: () => number;
  readonly #byPlace = new Map<string, Origin>();

  constructor(ratio: number, maxStacks: number, random: () => number) {
    this.#ratio = ratio;
    this.#maxStacks = maxStacks;
    this.#random = random;
  }

  get size(): number {
    return this.#byPlace.size;
  }

  /** The place that is calling, if it is this one's turn to be sampled. */
  sample(): Origin {
    if (this.#random() >= this.#ratio) return UNSAMPLED;
    const stack = callerStack();
    const place = placeOf(stack);
    const known = this.#byPlace.get(place);
    if (known !== undefined) return known;
    if (this.#byPlace.size >= this.#maxStacks) return { place, stack: undefined };
    const origin: Origin = { place, stack };
    this.#byPlace.set(place, origin);
    return origin;
  }
}

/** Function, file and line of the first frame outside this package, Node and node_modules. */
export function placeOf(stack: string): string {
  const frames = stack
    .split("\n")
    .map(parse)
    .filter((frame) => frame !== undefined);
  const foreign = frames.filter(({ file }) => !file.startsWith("node:"));
  const own = foreign.find(({ file }) => !file.includes("/node_modules/")) ?? foreign[0];
  if (own === undefined) return UNSAMPLED.place;
  return own.name === undefined ? own.file : `${own.name} (${own.file})`;
}

interface Frame {
  readonly name: string | undefined;
  readonly file: string;
}

function parse(line: string): Frame | undefined {
  const groups = FRAME.exec(line)?.groups;
  if (groups?.["file"] === undefined) return undefined;
  return { name: groups["name"], file: groups["file"].replace(/^file:\/\//, "") };
}

function callerStack(): string {
  const lines = (new Error("origin").stack ?? "").split("\n").slice(1);
  const outside = lines.filter(
    (line) => ![...OWN, "/eventemitter3/"].some((inner) => line.includes(inner)),
  );
  return outside.join("\n").slice(0, MAX_STACK_CHARS);
}
