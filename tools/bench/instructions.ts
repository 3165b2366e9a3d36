import { join } from "node:path";
import { countBetweenMarks } from "./callgrind.ts";

/** Instructions of one call, by the name of the operation. */
export type Counts = Readonly<Record<string, number>>;

/** Of each operation: warming up, settling, counting. */
export const PHASES = 3;

const PROCESS = join(import.meta.dirname, "count-process.ts");

export interface CountOptions {
  /** The operation to count; all of the package's by default. */
  readonly only?: string;
  /** Turns of a loop to plant into the package. */
  readonly spins?: number;
}

/**
 * Counts the instructions of each operation of a package.
 * @throws Error when it could not count
 */
export async function countInstructions(
  root: string,
  name: string,
  { only = "", spins = 0 }: CountOptions = {},
): Promise<Counts> {
  const { counts, output } = await countBetweenMarks([PROCESS, root, name, String(spins), only]);
  const iterations = JSON.parse(output) as Readonly<Record<string, number>>;
  const entries = Object.entries(iterations).map(([operation, count], index) => {
    const instructions = counts[PHASES * (index + 1)];
    if (instructions === undefined) throw new Error(`callgrind wrote no count for ${operation}`);
    return [operation, instructions / count] as const;
  });
  return Object.fromEntries(entries);
}
