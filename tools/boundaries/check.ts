// Fails when a library reaches another workspace project or an MCP SDK, when a
// package is imported but not declared, or when the app composes in many places.
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, sep } from "node:path";
import { importsIn } from "./imports.ts";

interface Manifest {
  name: string;
  nx?: { tags?: string[] };
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}
interface Project {
  root: string;
  manifest: Manifest;
  kind: string | undefined;
}

const mayDependOn: Record<string, string[]> = { lib: [], app: ["lib"] };
const sources = "src/**/*.ts";
const everything = "{src,test,bench,examples,demo,e2e,load}/**/*.{ts,mts,js,mjs}";
const mayCompose = /^(src\/compose([^/]*\.ts$|\/)|demo\/|test\/|e2e\/)/;

const projects = globSync("{packages,apps}/*/package.json").map((path): Project => {
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  const kind = manifest.nx?.tags?.find((tag) => tag.startsWith("type:"))?.slice("type:".length);
  return { root: dirname(path), manifest, kind };
});
const kinds = new Map(projects.map(({ manifest, kind }) => [manifest.name, kind]));
const problems = projects.flatMap((project) => [
  ...edges(project),
  ...undeclared(project),
  ...trespasses(project),
  ...(project.kind === "lib" ? [...siblings(project), ...sdks(project)] : compositions(project)),
]);

for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

function edges({ manifest, kind }: Project): string[] {
  if (kind === undefined || !(kind in mayDependOn))
    return [`${manifest.name}: needs a type:lib or type:app tag`];
  return Object.keys(declared(manifest))
    .filter((name) => kinds.has(name) && !mayDependOn[kind]!.includes(kinds.get(name) ?? ""))
    .map((name) => `${manifest.name}: a ${kind} may not depend on ${name}`);
}

function undeclared({ root, manifest }: Project): string[] {
  const known = new Set([manifest.name, ...Object.keys(declared(manifest))]);
  return importsIn(root, sources)
    .filter(({ target, relative }) => !relative && !isBuiltin(target) && !known.has(target))
    .map(
      ({ file, target }) =>
        `${file}: imports ${target}, which ${root}/package.json does not declare`,
    );
}

function trespasses({ root }: Project): string[] {
  const foreign = projects.map((project) => project.root).filter((other) => other !== root);
  return importsIn(root, everything)
    .filter(({ target, relative }) => relative && foreign.some((other) => isInside(target, other)))
    .map(({ file, target }) => `${file}: reaches into ${target}; import the package by its name`);
}

function siblings({ root, manifest }: Project): string[] {
  return importsIn(root, everything)
    .filter(({ target }) => kinds.has(target) && target !== manifest.name)
    .map(({ file, target }) => `${file}: imports ${target}; compose packages in apps/`);
}

function sdks({ root }: Project): string[] {
  return importsIn(root, sources)
    .filter(({ target }) => target.startsWith("@modelcontextprotocol/"))
    .map(
      ({ file, target }) => `${file}: imports ${target}; describe its shape with a type instead`,
    );
}

function compositions({ root }: Project): string[] {
  const packagesOf = new Map<string, Set<string>>();
  for (const { file, target } of importsIn(root, everything)) {
    if (kinds.get(target) !== "lib") continue;
    packagesOf.set(file, (packagesOf.get(file) ?? new Set()).add(target));
  }
  return [...packagesOf]
    .filter(([file, names]) => names.size > 1 && !mayCompose.test(file.slice(root.length + 1)))
    .map(
      ([file, names]) => `${file}: imports ${[...names].join(", ")}; compose them in compose.ts`,
    );
}

function declared({ dependencies, peerDependencies }: Manifest): Record<string, string> {
  return { ...dependencies, ...peerDependencies };
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(join(folder, sep));
}
