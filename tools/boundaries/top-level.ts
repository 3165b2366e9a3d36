// Fails when the tracked top level is not exactly the agreed one: a new file at
// the root is a decision, and most things have a better home.
import { execFileSync } from "node:child_process";

const required = [
  "LICENSE",
  "README.md",
  "apps",
  "nx.json",
  "package-lock.json",
  "package.json",
  "packages",
  "tools",
  "tsconfig.base.json",
];
const tracked = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0");
const names = [...new Set(tracked.map((path) => path.split("/")[0]!))].filter(
  (name) => name !== "" && !name.startsWith("."),
);
const problems = [
  ...names
    .filter((name) => !required.includes(name))
    .map(
      (name) => `${name}: does not belong at the top level; move it into tools, apps or packages`,
    ),
  ...required
    .filter((name) => !names.includes(name))
    .map((name) => `${name}: is missing at the top level`),
];

for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
