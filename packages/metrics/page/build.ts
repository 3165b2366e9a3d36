import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { bundlePage } from "./bundle.ts";

const MAX_GZIP_BYTES = 100_000;

const folder = new URL("../dist/page/", import.meta.url);
const files = await bundlePage();
await mkdir(folder, { recursive: true });
let bytes = 0;
for (const [name, body] of Object.entries(files)) {
  bytes += gzipSync(body).length;
  await writeFile(new URL(name, folder), body);
}
const licence = createRequire(import.meta.url)
  .resolve("uplot/package.json")
  .replace("package.json", "LICENSE");
await writeFile(new URL("LICENSE-uplot.txt", folder), await readFile(licence));
console.log(`the page: ${(bytes / 1000).toFixed(1)} kB gzip`);
if (bytes > MAX_GZIP_BYTES) throw new Error(`the page is larger than ${MAX_GZIP_BYTES} bytes`);
