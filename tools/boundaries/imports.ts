// Finds what the source files of a folder import, as package names or, for
// relative imports, as paths from the workspace root.
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Import {
  file: string;
  /** A package name, a `node:` module, or a path from the workspace root. */
  target: string;
  relative: boolean;
}

const importPattern = /(?:from|import)\s*\(?\s*["']([^"']+)["']/g;

export function importsIn(root: string, pattern: string): Import[] {
  return globSync(join(root, pattern))
    .filter((file) => !file.includes("node_modules"))
    .flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(importPattern)].map(([, specifier]) =>
        toImport(file, specifier!),
      ),
    );
}

function toImport(file: string, specifier: string): Import {
  const relative = specifier.startsWith(".");
  const target = relative ? join(dirname(file), specifier) : packageOf(specifier);
  return { file, target, relative };
}

function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
