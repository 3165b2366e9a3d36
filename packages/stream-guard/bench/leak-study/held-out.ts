// The worlds from which the claim is made: shapes, noise and ranges that the constants were not chosen in.
import type { Random } from "./random.ts";
import type { Environment, Part, World } from "./world.ts";

export const heldOut: Readonly<Record<string, Environment>> = {
  noise: (random) => world(random, []),
  "warm-up": (random) => world(random, [warmup(random)]),
  "load, daily": (random) => world(random, [sessions(random, daily(random))]),
  "load, bursts": (random) => world(random, [sessions(random, bursts(random))]),
  "step up": (random) => world(random, [step(random, 1)]),
  "step down": (random) => world(random, [step(random, -1)]),
  "steps, several": (random) => world(random, several(random)),
  "missed collections": (random) => missed(random),
  fragmentation: (random) => world(random, [wander(random)]),
  together: (random) =>
    world(random, [
      warmup(random),
      sessions(random, bursts(random, daily(random))),
      step(random, random.sign()),
    ]),
};

/** Collections come when they come, and find an exponential amount in use. */
export function world(random: Random, parts: readonly Part[]): World {
  const gap = random.scale(0.3, 2.5);
  const inUseMb = random.scale(0.5, 5);
  return {
    parts,
    gapMinutes: () => 0.1 + random.exponential(gap),
    restMb: () => random.exponential(inUseMb) + random.normal(0.2),
  };
}

/** Long gaps, and collections that leave part of the garbage: a saw whose teeth miss the floor. */
function missed(random: Random): World {
  const gap = random.scale(0.5, 3);
  const leftMb = random.scale(5, 30);
  const share = random.between(0.2, 0.5);
  return {
    parts: [],
    gapMinutes: () => 0.1 + random.exponential(random.uniform() < 0.06 ? gap * 8 : gap),
    restMb: () =>
      random.exponential(1.5) + (random.uniform() < share ? random.exponential(leftMb) : 0),
  };
}

/** Two phases (code and caches), of which one may begin late and end at its bound. */
function warmup(random: Random): Part {
  const codeMb = random.between(5, 30);
  const codeMinutes = random.scale(1, 15);
  const cacheMb = random.between(5, 50);
  const cacheMinutes = random.scale(3, 35);
  const middle = random.between(0, 30);
  const cache = (minute: number): number =>
    1 / (1 + Math.exp(-(minute - middle) / (cacheMinutes / 2)));
  return {
    heapMb: (minute) =>
      codeMb * (1 - Math.exp(-minute / codeMinutes)) + cacheMb * (cache(minute) - cache(0)),
  };
}

type Rate = (minute: number) => number;

export function daily(random: Random): Rate {
  const usual = random.scale(60, 400);
  const swing = random.between(0.2, 0.95);
  const phase = random.between(0, 2 * Math.PI);
  const second = random.between(0, 0.3);
  return (minute) => {
    const angle = phase + (minute * Math.PI) / 720;
    return Math.max(5, usual * (1 + swing * Math.sin(angle) + second * Math.sin(2 * angle)));
  };
}

function bursts(random: Random, below: Rate = constant(random.scale(20, 150))): Rate {
  const everyMinutes = random.scale(30, 150);
  let start = random.exponential(everyMinutes);
  let end = start;
  let size = 0;
  return (minute) => {
    if (minute > end) {
      start = minute + random.exponential(everyMinutes);
      end = start + random.between(4, 40);
      size = random.scale(50, 400);
    }
    return below(minute) + (minute >= start ? size : 0);
  };
}

function constant(value: number): Rate {
  return () => value;
}

/** Sessions that come and go (an immigration-death process towards `rate`), each holding memory of its own size. */
export function sessions(random: Random, rate: Rate): Part {
  const stayMinutes = random.scale(2, 20);
  const mbEach = random.scale(0.01, 0.15);
  let before = 0;
  let open = random.poisson(rate(0));
  const at = (minute: number): number => {
    const keep = Math.exp(-(minute - before) / stayMinutes);
    if (minute > before) {
      const stayed = open * keep + random.normal(Math.sqrt(open * keep * (1 - keep)));
      open = Math.max(0, Math.round(stayed)) + random.poisson(rate(minute) * (1 - keep));
    }
    before = minute;
    return open;
  };
  return {
    heapMb: (minute) => mbEach * at(minute) + random.normal(mbEach * 0.5 * Math.sqrt(open)),
    load: at,
  };
}

/** Over some minutes, as a reload that makes the new state before it lets the old one go. */
function step(random: Random, sign: number): Part {
  const sizeMb = sign * random.scale(3, 60);
  const at = random.between(10, 470);
  const lasts = random.between(0, 4);
  const extraMb = random.between(0, 20);
  return {
    heapMb: (minute) => {
      if (minute < at) return 0;
      return minute < at + lasts ? sizeMb / 2 + extraMb : sizeMb;
    },
  };
}

function several(random: Random): readonly Part[] {
  const count = 2 + Math.floor(random.uniform() * 3);
  return Array.from({ length: count }, () => step(random, random.sign()));
}

/** A random walk between two walls. */
function wander(random: Random): Part {
  const wallMb = random.between(0.5, 2);
  const pace = random.scale(0.05, 0.4);
  let before = 0;
  let value = random.between(-wallMb, wallMb);
  return {
    heapMb: (minute) => {
      value += random.normal(pace * Math.sqrt(minute - before));
      before = minute;
      while (Math.abs(value) > wallMb) value = Math.sign(value) * 2 * wallMb - value;
      return value;
    },
  };
}
