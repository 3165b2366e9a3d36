// Heap floors of 9,600 sessions as a soak samples them, made up from what real ones look like.
import { Random } from "../leak-study/random.ts";
import type { Point } from "../soak/slope.ts";

export const SESSIONS = 9600;
const GROUP = 16;
const WARM_UP = 1600;
const KIB = 1024;

/** Bytes more than at the start, asked at rising sessions. */
export type Part = (sessions: number) => number;

export interface World {
  readonly leaks: boolean;
  readonly parts: (random: Random) => readonly Part[];
}

export const WORLDS: Readonly<Record<string, World>> = {
  "clean: noise": clean(() => []),
  "clean: warm-up": clean((random) => [warmUp(random)]),
  "clean: one step": clean((random) => [step(random)]),
  "clean: two steps": clean((random) => [step(random), step(random)]),
  "clean: one step, warm-up": clean((random) => [step(random), warmUp(random)]),
  "leak: 16 B a session": leaking(() => [slow(16)]),
  "leak: 32 B a session": leaking(() => [slow(32)]),
  "leak: 32 B a session, one step": leaking((random) => [slow(32), step(random)]),
  "leak: 32 B a session, a step down": leaking((random) => [slow(32), down(random)]),
  "leak: 32 B a session from half-way on": leaking(() => [late(32)]),
  "leak: 64 KiB every 3200 sessions": leaking((random) => [stairs(random, 64 * KIB, 3200)]),
  "leak: 64 KiB every 1600 sessions": leaking((random) => [stairs(random, 64 * KIB, 1600)]),
  "leak: 64 KiB every 800 sessions": leaking((random) => [stairs(random, 64 * KIB, 800)]),
  "leak: 64 KiB every 200 sessions": leaking((random) => [stairs(random, 64 * KIB, 200)]),
  "leak: 16 KiB every 512 sessions": leaking((random) => [stairs(random, 16 * KIB, 512)]),
  "leak: 1 MiB every 3200 sessions": leaking((random) => [stairs(random, KIB * KIB, 3200)]),
  "leak: 64 KiB each 1600 or so, by chance": leaking((random) => [chance(random, 64 * KIB, 1600)]),
  "leak: 64 KiB each 800 or so, by chance": leaking((random) => [chance(random, 64 * KIB, 800)]),
};

export function series({ parts }: World, seed: number): readonly Point[] {
  const random = new Random(seed);
  const all = [...parts(random), noise(random)];
  return Array.from({ length: SESSIONS / GROUP }, (_, index) => {
    const x = (index + 1) * GROUP;
    return { x, y: 5e6 + all.reduce((total, part) => total + part(x), 0) };
  });
}

function clean(parts: World["parts"]): World {
  return { leaks: false, parts };
}

function leaking(parts: World["parts"]): World {
  return { leaks: true, parts };
}

/** A level that wavers, some that last, and collections that find more to free, in bouts. */
function noise(random: Random): Part {
  const jitter = random.scale(30, 1500);
  const lasting = random.scale(10, 500);
  const keep = random.between(0.3, 0.95);
  const share = random.between(0.02, 0.25);
  const dip = random.scale(500, 4000);
  let wander = 0;
  return () => {
    wander = keep * wander + random.normal(lasting * Math.sqrt(1 - keep ** 2));
    const dipped = random.uniform() < share ? random.uniform() * dip : 0;
    return random.normal(jitter) + wander - dipped;
  };
}

/** What is left of it after the sessions that are not measured. */
function warmUp(random: Random): Part {
  const bytes = random.scale(20_000, 200_000);
  const sessions = random.scale(50, 800);
  return (at) => -bytes * Math.exp(-(at + WARM_UP) / sessions);
}

function step(random: Random): Part {
  const bytes = random.scale(8 * KIB, 128 * KIB);
  const from = random.between(0, SESSIONS);
  return (at) => (at >= from ? bytes : 0);
}

function down(random: Random): Part {
  const up = step(random);
  return (at) => -up(at);
}

function slow(bytes: number): Part {
  return (at) => bytes * at;
}

function late(bytes: number): Part {
  return (at) => bytes * Math.max(0, at - SESSIONS / 2);
}

function stairs(random: Random, bytes: number, every: number): Part {
  const phase = random.between(0, every);
  return (at) => bytes * Math.floor((at + phase) / every);
}

function chance(random: Random, bytes: number, every: number): Part {
  let next = random.exponential(every);
  let held = 0;
  return (at) => {
    for (; next <= at; next += random.exponential(every)) held += bytes;
    return held;
  };
}
