// What does leaving the queue of a ResourcePool cost beside a hundred thousand waiters, against a hundred?
import { ResourcePool } from "@mcp-accel/stream-guard";

const ROUNDS = 21;
const CYCLES = 2000;
const SIZES = [100, 100_000] as const;

interface Crowd {
  readonly size: number;
  /** Lets one join the middle's priority and leave again. */
  readonly cycle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const crowds = await Promise.all(SIZES.map(crowdOf));
const rounds: number[][] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const nanoseconds = new Map<number, number>();
  const order = round % 2 === 0 ? crowds : crowds.toReversed();
  for (const crowd of order) nanoseconds.set(crowd.size, await measure(crowd));
  rounds.push(SIZES.map((size) => nanoseconds.get(size) ?? Number.NaN));
}
for (const crowd of crowds) await crowd.close();
report();

async function crowdOf(size: number): Promise<Crowd> {
  const { signal } = new AbortController();
  const pool = new ResourcePool({ capacity: 1, queueLimit: size + 10 });
  const permit = await pool.acquire();
  const waits = Array.from({ length: size }, () => pool.acquire({ signal }));
  const ended = Promise.allSettled(waits);
  return {
    size,
    cycle: async () => {
      const controller = new AbortController();
      const wait = pool.acquire({ signal: controller.signal });
      controller.abort();
      await wait.catch(() => {});
    },
    close: async () => {
      await pool.close();
      await ended;
      permit.release();
    },
  };
}

async function measure({ cycle }: Crowd): Promise<number> {
  const startedAt = process.hrtime.bigint();
  for (let count = 0; count < CYCLES; count += 1) await cycle();
  return Number(process.hrtime.bigint() - startedAt) / CYCLES;
}

function report(): void {
  const ratios = rounds.map(([few = Number.NaN, many = Number.NaN]) => many / few);
  const rows = SIZES.map((waiting, index) => ({
    waiting,
    nsPerJoinAndLeave: at(
      rounds.map((round) => round[index] ?? Number.NaN),
      0.5,
    ),
  }));
  const ratio = { median: at(ratios, 0.5), low: at(ratios, 0), high: at(ratios, 1) };
  if (process.argv.includes("--json")) console.log(JSON.stringify({ rows, ratio }));
  else {
    console.table(rows);
    const spread = `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`;
    console.log(`${SIZES[1]} / ${SIZES[0]} waiting: ${ratio.median.toFixed(2)} (${spread})`);
  }
}

function at(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))] ?? Number.NaN;
}
