// The worlds in which the detector's constants were chosen: smooth shapes and normal noise. No claim is made from them.
import type { Random } from "./random.ts";
import type { Environment, Part, World } from "./world.ts";

export const tuning: Readonly<Record<string, Environment>> = {
  noise: (random) => world(random, []),
  "warm-up": (random) => world(random, [warmup(random)]),
  "load, daily": (random) => world(random, [daily(random)]),
  "load, bursts": (random) => world(random, [bursts(random)]),
  "step up": (random) => world(random, [step(random, 1)]),
  "step down": (random) => world(random, [step(random, -1)]),
  "steps, several": (random) => world(random, several(random)),
  "missed collections": (random) => missed(random),
  fragmentation: (random) => world(random, [wander(random)]),
  together: (random) => world(random, [warmup(random), daily(random), step(random, 1)]),
};

function world(random: Random, parts: readonly Part[]): World {
  const gap = random.between(0.4, 2);
  const noiseMb = random.between(0.5, 3);
  return {
    parts,
    gapMinutes: () => gap * random.between(0.8, 1.2),
    restMb: () => Math.abs(random.normal(noiseMb)),
  };
}

function missed(random: Random): World {
  const gap = random.between(1, 3);
  const leftMb = random.between(5, 20);
  return {
    parts: [],
    gapMinutes: () => gap * (random.uniform() < 0.05 ? 8 : 1),
    restMb: () =>
      Math.abs(random.normal(1)) + (random.uniform() < 0.3 ? leftMb * random.uniform() : 0),
  };
}

function warmup(random: Random): Part {
  const sizeMb = random.between(15, 70);
  const minutes = random.between(4, 40);
  return { heapMb: (minute) => sizeMb * (1 - Math.exp(-minute / minutes)) };
}

function daily(random: Random): Part {
  const usual = random.between(80, 400);
  const swing = random.between(0.3, 0.9);
  const phase = random.between(0, 2 * Math.PI);
  const mbEach = random.between(0.02, 0.15);
  let at = -1;
  let sessions = 0;
  const load = (minute: number): number => {
    if (minute !== at)
      sessions = random.poisson(usual * (1 + swing * Math.sin(phase + (minute * Math.PI) / 720)));
    at = minute;
    return sessions;
  };
  return { heapMb: (minute) => mbEach * load(minute), load };
}

function bursts(random: Random): Part {
  const usual = random.between(40, 150);
  const high = random.between(100, 400);
  const everyMinutes = random.between(20, 120);
  const lastMinutes = random.between(5, 25);
  const mbEach = random.between(0.02, 0.1);
  let at = -1;
  let sessions = 0;
  const load = (minute: number): number => {
    if (minute !== at)
      sessions = random.poisson(minute % everyMinutes < lastMinutes ? high : usual);
    at = minute;
    return sessions;
  };
  return { heapMb: (minute) => mbEach * load(minute), load };
}

function step(random: Random, sign: number): Part {
  const sizeMb = sign * random.between(5, 40);
  const at = random.between(30, 450);
  return { heapMb: (minute) => (minute >= at ? sizeMb : 0) };
}

function several(random: Random): readonly Part[] {
  return Array.from({ length: random.uniform() < 0.5 ? 2 : 3 }, () => step(random, random.sign()));
}

/** An Ornstein-Uhlenbeck process. */
function wander(random: Random): Part {
  const sigmaMb = random.between(0.5, 1.5);
  const minutes = random.between(10, 40);
  let before = 0;
  let value = random.normal(sigmaMb);
  return {
    heapMb: (minute) => {
      const keep = Math.exp(-(minute - before) / minutes);
      value = value * keep + random.normal(sigmaMb * Math.sqrt(1 - keep ** 2));
      before = minute;
      return value;
    },
  };
}
