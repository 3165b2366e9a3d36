/** What is read, in order, and how many of it fit. */
export interface Workload {
  readonly name: string;
  readonly keys: Uint32Array;
  readonly size: number;
}

const distinct = 20_000;
const reads = 300_000;
const onePercent = distinct / 100;
const tenPercent = distinct / 10;

type Draw = () => number;

/** The same sequences in every run. */
export function generatedWorkloads(): readonly Workload[] {
  return [
    { name: "zipf 0.7, 1 % fits", keys: fill(zipf(0.7, 1)), size: onePercent },
    { name: "zipf 0.7, 10 % fits", keys: fill(zipf(0.7, 1)), size: tenPercent },
    { name: "zipf 0.99, 1 % fits", keys: fill(zipf(0.99, 2)), size: onePercent },
    { name: "zipf 0.99, 10 % fits", keys: fill(zipf(0.99, 2)), size: tenPercent },
    { name: "zipf 0.99 with scans", keys: fill(withScans(zipf(0.99, 3), 5_000)), size: tenPercent },
    { name: "loop of 1.25 sizes", keys: fill(loop(1_250)), size: 1_000 },
    { name: "shifting zipf 0.99", keys: fill(shifting(zipf(0.99, 4), 10)), size: tenPercent },
    { name: "new keys drive out old", keys: fill(recent(5)), size: 1_000 },
    { name: "only recency counts", keys: stackDistances(8), size: 1_000 },
    { name: "phases: zipf, recent, loop", keys: phases(), size: 1_000 },
  ];
}

function fill(draw: Draw, length = reads): Uint32Array {
  return Uint32Array.from({ length }, draw);
}

/** Ranks are spread over the key space, so that neighbours in popularity are no neighbours in number. */
function zipf(exponent: number, seed: number): Draw {
  const random = randomOf(seed);
  const cumulative = new Float64Array(distinct);
  let sum = 0;
  for (let rank = 0; rank < distinct; rank++) cumulative[rank] = sum += 1 / (rank + 1) ** exponent;
  return () => {
    const draw = random() * sum;
    let [low, high] = [0, distinct - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? sum) < draw) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** After every `length` draws come `length` keys that are read only once. */
function withScans(draw: Draw, length: number): Draw {
  let count = 0;
  let fresh = distinct;
  return () => (Math.floor(count++ / length) % 2 === 0 ? draw() : fresh++);
}

function loop(length: number): Draw {
  let count = 0;
  return () => count++ % length;
}

/** After every `every` draws the most popular key is replaced: all ranks move up by one. */
function shifting(draw: Draw, every: number): Draw {
  let count = 0;
  return () => draw() + Math.floor(count++ / every);
}

/** Half of the reads are of new keys, the others of one of the newest, the newer the likelier. */
function recent(seed: number): Draw {
  const random = randomOf(seed);
  let newest = 0;
  return () =>
    random() < 0.5 ? ++newest : Math.max(0, newest - Math.floor(1_000 * -Math.log(1 - random())));
}

/** The likelihood of a read depends only on how many other keys were read since: nothing can beat LRU but knowing the future. */
function stackDistances(seed: number): Uint32Array {
  const random = randomOf(seed);
  const stack: number[] = [];
  let fresh = 0;
  const draw = (): number => {
    const depth = Math.floor(-600 * Math.log(1 - random()));
    const at = random() < 0.1 ? -1 : stack.length - 1 - depth;
    const key = stack.splice(at, at < 0 ? 0 : 1)[0] ?? fresh++;
    stack.push(key);
    if (stack.length > 4_000) stack.shift();
    return key;
  };
  return fill(draw, reads / 3);
}

function phases(): Uint32Array {
  const length = reads / 6;
  const one = [fill(zipf(0.99, 6), length), fill(recent(7), length), fill(loop(1_250), length)];
  const keys = new Uint32Array(reads);
  for (let phase = 0; phase < 6; phase++) {
    const part = one[phase % 3] ?? new Uint32Array();
    keys.set(
      part.map((key) => key + phase * 1_000_000),
      phase * length,
    );
  }
  return keys;
}

/** Mulberry32 (Tommy Ettinger, public domain), from 0 up to 1. */
export function randomOf(seed: number): Draw {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
