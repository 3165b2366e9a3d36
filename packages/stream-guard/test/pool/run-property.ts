// Prints what the property found, as JSON: node run-property.ts <runs> <seed>
import * as fc from "fast-check";
import { poolProperty } from "./property.ts";

const [numRuns = 100, seed = 1] = process.argv.slice(2).map(Number);
const { failed, errorInstance, counterexample } = await fc.check(poolProperty, {
  numRuns,
  seed,
  endOnFailure: true,
});
const found = failed ? `${String(errorInstance)} with ${JSON.stringify(counterexample)}` : null;
console.log(JSON.stringify(found));
