// The hot paths whose instructions are counted against a baseline (`npm run gate`).
import { ResourcePool, StreamGuard } from "@mcp-accel/stream-guard";

const guard = new StreamGuard({ now: () => 1_000 });
const session = guard.open({ id: "gate" });
const pool = new ResourcePool({ capacity: 4, now: () => 1_000 });
const chunk = new Uint8Array(16 * 1024);

export const operations = {
  "reserve and release": {
    iterations: 200_000,
    run: (iterations: number): void => {
      for (let index = 0; index < iterations; index += 1) {
        session.reserve(1024);
        session.release(1024);
      }
    },
  },
  "pipe, a chunk of 16 KiB": {
    iterations: 20_000,
    run: async (iterations: number): Promise<void> => {
      for await (const batch of session.pipe(chunks(iterations))) void batch;
    },
  },
  "acquire and release a permit": {
    iterations: 20_000,
    run: async (iterations: number): Promise<void> => {
      for (let index = 0; index < iterations; index += 1) (await pool.acquire()).release();
    },
  },
};

async function* chunks(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) yield chunk;
}
