// An empty project outside the workspace that inherits nothing from it: what a
// stranger has before the first `npm install` of our tarballs.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface Manifest {
  name: string;
  version: string;
  exports: Record<string, unknown>;
  bin?: Record<string, string>;
  engines?: { node?: string };
}

export interface Tarball {
  name: string;
  filename: string;
  size: number;
  unpackedSize: number;
  files: { path: string }[];
}

const ownVariables = /^(npm_|(NODE_OPTIONS|NODE_PATH|INIT_CWD|NO_COLOR|FORCE_COLOR)$)/;
const neededByNpm = /^npm_config_(registry|cache|userconfig|globalconfig|cafile|\w*proxy)$/;

export function inRoom(use: (room: string) => void): void {
  const room = mkdtempSync(join(tmpdir(), "smoke-"));
  try {
    writeFileSync(join(room, "package.json"), '{ "private": true, "type": "module" }');
    use(room);
  } finally {
    rmSync(room, { recursive: true, force: true });
  }
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

export function pack(folder: string, room: string): Tarball {
  const packed = JSON.parse(npm(folder, "pack", "--json", "--pack-destination", room)) as Tarball[];
  const [tarball] = Object.values(packed);
  if (tarball === undefined) throw new Error(`npm pack wrote no tarball for ${folder}`);
  return tarball;
}

export function install(room: string, tarballs: readonly Tarball[]): void {
  const files = tarballs.map(({ filename }) => `./${filename}`);
  npm(room, "install", "--ignore-scripts", "--no-audit", "--no-fund", ...files);
}

/** Copies a script of this folder into the room, so that its imports resolve there. */
export function bring(room: string, script: string): void {
  cpSync(join(import.meta.dirname, script), join(room, script));
}

/** The caller's environment without the workspace, `node` on PATH being the given one. */
export function environment(room: string, node: string): Record<string, string> {
  const folder = mkdtempSync(join(room, "node-"));
  symlinkSync(node, join(folder, "node"));
  return { ...outside(), PATH: [folder, ...systemPath()].join(delimiter) };
}

export function systemPath(): string[] {
  const path = process.env["PATH"] ?? "";
  return path.split(delimiter).filter((folder) => !folder.includes("node_modules"));
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync("npm", args, {
    cwd,
    encoding: "utf8",
    env: { ...outside(), PATH: process.env["PATH"] ?? "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function outside(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (!ownVariables.test(entry[0]) || neededByNpm.test(entry[0])),
  );
  return Object.fromEntries(entries);
}
