// Packs the package in the current folder, installs only that tarball in an
// empty project, and imports every export: what a stranger's `npm i` would see.
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { smokeNodes } from "./nodes.ts";
import { bring, environment, inRoom, install, pack, readManifest, type Tarball } from "./room.ts";

const required = ["README.md", "LICENSE", "CHANGELOG.md", "package.json"];
const unwanted = /(^|\/)(test|bench|e2e|load|examples)\/|\.(test|bench)\.|\.tsbuildinfo$/;

const manifest = readManifest(".");
const specifiers = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => join(manifest.name, path));

inRoom((room) => {
  const tarball = pack(".", room);
  checkFiles(tarball);
  install(room, [tarball]);
  checkAlone(room);
  bring(room, "import-probe.ts");
  for (const { path } of smokeNodes())
    for (const specifier of specifiers) importAlone(room, path, specifier);
  const { size, unpackedSize } = tarball;
  console.log(`${manifest.name}: ${kilobytes(size)} packed, ${kilobytes(unpackedSize)} unpacked`);
});

function checkFiles({ files }: Tarball): void {
  const paths = files.map(({ path }) => path);
  const missing = required.filter((path) => !paths.includes(path));
  const extra = paths.filter((path) => unwanted.test(path));
  if (missing.length > 0)
    throw new Error(`${manifest.name}: add ${missing.join(", ")} to the package`);
  if (extra.length > 0)
    throw new Error(`${manifest.name}: keep ${extra.join(", ")} out of "files" in package.json`);
}

function checkAlone(room: string): void {
  const scope = manifest.name.split("/")[0]!;
  const siblings = globSync(`**/node_modules/${scope}/*`, { cwd: room })
    .map((path) => path.slice(path.lastIndexOf(scope)))
    .filter((name) => name !== manifest.name);
  if (siblings.length > 0)
    throw new Error(`${manifest.name}: installing it also installs ${siblings.join(", ")}`);
}

function importAlone(room: string, node: string, specifier: string): void {
  execFileSync(node, ["import-probe.ts", specifier], {
    cwd: room,
    env: { ...environment(room, node), NODE_NO_WARNINGS: "1" },
    stdio: "inherit",
  });
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
