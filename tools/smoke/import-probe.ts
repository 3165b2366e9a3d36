// Imports one export of an installed package and fails when that asks for an MCP
// SDK, even behind a caught dynamic import. It runs inside the empty project.
import { registerHooks } from "node:module";

const [specifier] = process.argv.slice(2) as [string];
const asked: string[] = [];

registerHooks({
  resolve(name, context, next) {
    if (name.startsWith("@modelcontextprotocol/"))
      asked.push(`${name}, asked for by ${context.parentURL}`);
    return next(name, context);
  },
});

const names = Object.keys((await import(specifier)) as object);
if (asked.length > 0) throw new Error(`${specifier} loads an SDK: ${asked.join("; ")}`);
if (names.length === 0) throw new Error(`${specifier} exports nothing`);
console.log(`${specifier} (Node ${process.version}): ${names.join(", ")}`);
