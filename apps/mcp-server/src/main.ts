#!/usr/bin/env node
// Runs on any Node, so that an old one gets a sentence and not a syntax error; everything else is loaded after the check.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `mcp-accel needs Node.js 22.19 or newer; this is ${process.versions.node}. Install a newer one from https://nodejs.org, or start it with npx -p node@24 -p mcp-accel mcp-accel.`,
  );
  process.exitCode = 1;
} else {
  const { run } = await import("./cli.ts");
  process.exitCode = await run(process.argv.slice(2));
  // What a client does not read must not keep the process.
  setTimeout(() => process.exit(), 500).unref();
}
