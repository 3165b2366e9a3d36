// The Node binaries a smoke test runs on: those that must work (SMOKE_NODES),
// and one that is too old and must be refused (SMOKE_OLD_NODE).
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { systemPath } from "./room.ts";

export interface Node {
  path: string;
  version: string;
}

export function smokeNodes(): Node[] {
  const paths = process.env["SMOKE_NODES"]?.split(",").filter((path) => path !== "") ?? [];
  return (paths.length === 0 ? [process.execPath] : paths).map((path) =>
    nodeAt(path, "SMOKE_NODES"),
  );
}

export function nodeOlderThan(needed: string): Node | undefined {
  const given = process.env["SMOKE_OLD_NODE"];
  if (given !== undefined && given !== "") {
    const node = nodeAt(given, "SMOKE_OLD_NODE");
    if (isOlder(node, needed)) return node;
    throw new Error(`SMOKE_OLD_NODE is ${node.version}; give a Node older than ${needed}`);
  }
  const found = systemPath()
    .map((folder) => join(folder, "node"))
    .find((path) => existsSync(path));
  if (found === undefined) return undefined;
  const node = nodeAt(found, "PATH");
  return isOlder(node, needed) ? node : undefined;
}

function nodeAt(path: string, origin: string): Node {
  if (!existsSync(path)) throw new Error(`${origin} names ${path}, which does not exist`);
  const version = execFileSync(path, ["--version"], { encoding: "utf8" }).trim();
  return { path: resolve(path), version };
}

function isOlder({ version }: Node, needed: string): boolean {
  const [major = 0, minor = 0] = version.slice(1).split(".").map(Number);
  const [neededMajor = 0, neededMinor = 0] = needed.split(".").map(Number);
  return major < neededMajor || (major === neededMajor && minor < neededMinor);
}
