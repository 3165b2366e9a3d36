// Installs the tarballs of the app in the current folder and of its packages in an
// empty project, and proves that the bin serves there, and refuses an old Node.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Node, nodeOlderThan, smokeNodes } from "./nodes.ts";
import { bring, environment, inRoom, install, pack, readManifest } from "./room.ts";

const limitMs = 60_000;
const manifest = readManifest(".");
const [bin, entry] = Object.entries(manifest.bin!)[0]!;
const neededNode = /\d+\.\d+/.exec(manifest.engines!.node!)![0];
const packages = globSync("../../packages/*/package.json").map((path) => dirname(path));

inRoom((room) => {
  const tarballs = [".", ...packages].map((folder) => packBuilt(folder, room));
  install(room, tarballs);
  bring(room, "stdio-client.ts");
  for (const node of smokeNodes()) serves(room, node);
  const old = nodeOlderThan(neededNode);
  if (old === undefined) console.log(`skipped: no Node older than ${neededNode} to be refused`);
  else refuses(room, old);
});

function packBuilt(folder: string, room: string) {
  if (!existsSync(join(folder, "dist")))
    throw new Error(`${folder} is not built: run \`npm run build\` first`);
  return pack(folder, room);
}

function serves(room: string, { path, version }: Node): void {
  const options = {
    cwd: room,
    encoding: "utf8",
    env: { ...environment(room, path), NODE_NO_WARNINGS: "1" },
    timeout: limitMs,
  } as const;
  const printed = execFileSync("npx", ["--no-install", bin, "--version"], options).trim();
  assert.equal(printed, manifest.version, `${bin} --version on Node ${version}`);
  execFileSync(path, ["stdio-client.ts", join(room, `swarm-${version}.db`)], {
    ...options,
    stdio: "inherit",
  });
}

function refuses(room: string, { path, version }: Node): void {
  const main = join(room, "node_modules", manifest.name, entry);
  const args = [main, "serve", "--stdio", "--store", join(room, "refused.db")];
  const { status, stderr } = spawnSync(path, args, {
    cwd: room,
    encoding: "utf8",
    env: environment(room, path),
    input: "",
    timeout: limitMs,
  });
  const said = `${bin} on Node ${version} exited with ${status} and said: ${stderr}`;
  assert.equal(status, 1, said);
  assert.equal(stderr.trim().split("\n").length, 1, `expected one line; ${said}`);
  assert.ok(stderr.includes(neededNode), `expected the needed version ${neededNode}; ${said}`);
  console.log(`refused on Node ${version}: ${stderr.trim()}`);
}
