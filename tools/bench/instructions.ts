import { join } from "node:path";
import { countBetweenMarks } from "./callgrind.ts";

/** Instructions of one call, by the name of the operation. */
export type Counts = Readonly<Record<string, number>>;

/** Of each operation: warming up, settling, counting. */
export const PHASES = 3;

const PROCESS = join(import.meta.dirname, "count-process.ts");

/**
 * Counts the instructions of each operation of a package, with `spins` turns of a loop planted into it.
 * @throws Error when it could not count
 */
export async function countInstructions(root: string, name: string, spins = 0): Promise<Counts> {
  const { counts, output } = await countBetweenMarks([PROCESS, root, name, String(spins)]);
  const iterations = JSON.parse(output) as Readonly<Record<string, number>>;
  const entries = Object.entries(iterations).map(([operation, count], index) => {
    const instructions = counts[PHASES * (index + 1)];
    if (instructions === undefined) throw new Error(`callgrind wrote no count for ${operation}`);
    return [operation, instructions / count] as const;
  });
  return Object.fromEntries(entries);
}
