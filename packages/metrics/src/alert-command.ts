// Writes what Prometheus and Grafana need for the default rules: `npm run rules -- --out <folder>`.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ruleFiles } from "./alert-files.ts";

const { values } = parseArgs({ options: { out: { type: "string" } } });
if (values.out === undefined) {
  console.error("usage: npm run rules -- --out <folder>");
  process.exitCode = 2;
} else {
  // npm runs it in the package's folder, and says where it was called.
  const folder = resolve(process.env["INIT_CWD"] ?? ".", values.out);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(ruleFiles())) {
    const path = join(folder, name);
    writeFileSync(path, text);
    console.log(path);
  }
}
