// Puts the cache that a module opens through the suite and prints the first failure, as JSON:
// node run-suite.ts <module> <instances> <races>
import { cacheConformance } from "@mcp-accel/cache-events/testing";
import type { OpenCache } from "@mcp-accel/cache-events/testing";

const [module = "", instances = "1", seeds = "3"] = process.argv.slice(2);
const { open } = (await import(module)) as { readonly open: OpenCache };
const failures: string[] = [];
const suite = cacheConformance({
  open,
  instances: Number(instances),
  seeds: Array.from({ length: Number(seeds) }, (_, index) => index + 1),
  operations: 5_000,
  refusedBindLocally: true,
  limitMs: 10_000,
});
for (const { name, run } of suite) {
  try {
    await run();
  } catch (error) {
    failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    break;
  }
}
console.log(JSON.stringify(failures));
process.exit();
