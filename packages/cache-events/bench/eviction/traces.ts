import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Workload } from "./workloads.ts";

/** Traces of the collection that comes with the Caffeine project, and the sizes at which they are read. */
const sizes: Readonly<Record<string, readonly number[]>> = {
  "gli.txt.gz": [500, 1_000, 2_000],
  "loop.txt.gz": [512],
  "multi1.txt.gz": [500, 1_500],
  "sprite.txt.gz": [500, 1_000],
  "web07.bin.gz": [500, 2_000],
};

/** @throws when a file is missing in `folder`. */
export async function traceWorkloads(folder: string): Promise<readonly Workload[]> {
  const found = await Promise.all(
    Object.entries(sizes).map(async ([file, fitting]) => {
      const content = gunzipSync(await readFile(join(folder, file)));
      const keys = file.endsWith(".bin.gz") ? bigEndian(content) : decimals(content);
      const name = file.slice(0, file.indexOf("."));
      return fitting.map((size) => ({ name: `${name}, ${size} fit`, keys, size }));
    }),
  );
  return found.flat();
}

function bigEndian(content: Buffer): Uint32Array {
  return Uint32Array.from({ length: content.length >> 2 }, (_, index) =>
    content.readUInt32BE(4 * index),
  );
}

/** One number a line; other lines are separators. */
function decimals(content: Buffer): Uint32Array {
  const lines = content.toString("latin1").split("\n");
  return Uint32Array.from(
    lines.filter((line) => /^\d+\s*$/.test(line)),
    Number,
  );
}
