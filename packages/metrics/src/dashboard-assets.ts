import { readFile } from "node:fs/promises";
import { MetricsError } from "./errors.ts";

export interface Asset {
  readonly contentType: string;
  readonly body: Buffer;
}

export type Assets = ReadonlyMap<string, Asset>;

const TYPES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "app.js": "text/javascript; charset=utf-8",
  "app.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

/** `METRICS_DASHBOARD_FILES`: the files of the page are not where the package keeps them. */
export class DashboardFilesError extends MetricsError {
  override readonly name = "DashboardFilesError";

  constructor(cause: unknown) {
    const help = "build the package, or install it anew";
    super("METRICS_DASHBOARD_FILES", `the dashboard's page cannot be read: ${help}`, { cause });
  }
}

/** The files of the page: built ones beside the built module, or bundled here and now when this is the source. */
export async function loadAssets(): Promise<Assets> {
  try {
    const files = import.meta.url.endsWith(".ts") ? await bundleSource() : await readBuilt();
    return new Map(
      Object.entries(files).map(([name, body]) => {
        return [name, { contentType: TYPES[name] ?? "application/octet-stream", body }];
      }),
    );
  } catch (error) {
    throw new DashboardFilesError(error);
  }
}

async function readBuilt(): Promise<Record<string, Buffer>> {
  const folder = new URL("./page/", import.meta.url);
  const read = async (name: string) => [name, await readFile(new URL(name, folder))] as const;
  return Object.fromEntries(await Promise.all(Object.keys(TYPES).map(read)));
}

// By a computed URL, since the published package has neither the page's source nor a bundler.
async function bundleSource(): Promise<Record<string, Buffer>> {
  const bundler = new URL("../page/bundle.ts", import.meta.url).href;
  const module = (await import(bundler)) as {
    readonly bundlePage: () => Promise<Record<string, Buffer>>;
  };
  return await module.bundlePage();
}
