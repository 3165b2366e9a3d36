// Finds the servers that suites talk to. A suite whose server is missing is skipped and says so in
// one line; with REQUIRE_SERVICES=1 that is a failure.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of the first of `names` that is on PATH. */
export function findProgram(...names: readonly string[]): string | undefined {
  // Debian puts servers into directories that not every user's PATH names.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/bin"];
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => isExecutable(path));
}

/** Whether a suite that needs `program` can run. @throws Error when it cannot and must. */
export function canRun(suite: string, service: string, program: string | undefined): boolean {
  if (program !== undefined) return true;
  const missing = `${suite}: skipped, there is no ${service}; tools/services/install.sh installs it`;
  if (process.env["REQUIRE_SERVICES"] === "1") throw new Error(missing);
  process.stderr.write(`${missing}\n`);
  return false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
