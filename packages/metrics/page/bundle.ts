import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const require = createRequire(import.meta.url);

/** The files of the page, by name: everything it needs, nothing from elsewhere. */
export async function bundlePage(): Promise<Record<string, Buffer>> {
  const [html, icon, style, plotStyle, script] = await Promise.all([
    source("index.html"),
    source("icon.svg"),
    source("style.css"),
    readFile(require.resolve("uplot/dist/uPlot.min.css"), "utf8"),
    bundleScript("main.ts"),
  ]);
  return {
    "index.html": Buffer.from(html),
    "icon.svg": Buffer.from(icon),
    "app.css": Buffer.from(plotStyle + smaller(style)),
    "app.js": Buffer.from(script),
  };
}

/** One script of this entry and all it imports. What the entry exports is for other entries, and left out. */
export async function bundleScript(entry: "main.ts" | "probe.ts"): Promise<string> {
  const input = fileURLToPath(new URL(entry, import.meta.url));
  const bundle = await rolldown({ input, logLevel: "warn", preserveEntrySignatures: false });
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
  await bundle.close();
  return `/*! uPlot, MIT, (c) Leon Sorokin */\n${output[0].code}`;
}

function source(name: string): Promise<string> {
  return readFile(new URL(name, import.meta.url), "utf8");
}

function smaller(css: string): string {
  return css.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\s+/g, " ");
}
