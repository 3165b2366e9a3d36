// Worlds beyond what the detector promises, to say what it does there.
import { daily, sessions, world } from "./held-out.ts";
import type { Random } from "./random.ts";
import type { Environment, Part } from "./world.ts";

export const limits: Readonly<Record<string, Environment>> = {
  "load, not told": (random) => {
    const { heapMb } = sessions(random, daily(random));
    return world(random, [{ heapMb }]);
  },
  "warm-up of 1 to 2 h (time constant)": (random) => world(random, [slowWarmup(random)]),
  "cache filling evenly for 4 to 7 h": (random) => world(random, [filling(random)]),
  "leak of 5 MB/h from the fifth hour on": (random) => world(random, [lateLeak()]),
};

function slowWarmup(random: Random): Part {
  const sizeMb = random.between(10, 80);
  const minutes = random.between(60, 120);
  return { heapMb: (minute) => sizeMb * (1 - Math.exp(-minute / minutes)) };
}

function filling(random: Random): Part {
  const sizeMb = random.between(10, 60);
  const minutes = random.between(240, 420);
  return { heapMb: (minute) => sizeMb * Math.min(1, minute / minutes) };
}

function lateLeak(): Part {
  return { heapMb: (minute) => Math.max(0, (minute - 240) / 60) * 5 };
}
