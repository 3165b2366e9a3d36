import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { findProgram } from "../../../tools/services/find.ts";

export const program = findProgram("chromium", "chromium-browser", "google-chrome");

export interface Visit {
  readonly page: Page;
  /** Errors of the console, violations of the policy and requests to other hosts: all that must not be. */
  readonly trouble: readonly string[];
}

export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly reducedMotion?: boolean;
  /** Instead of the script that the dashboard serves. */
  readonly script?: string;
}

export async function launch(): Promise<Browser> {
  const args = ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc"];
  return await chromium.launch({ executablePath: program as string, args });
}

/** Opens the dashboard and waits until it has drawn. */
export async function visit(
  browser: Browser,
  url: string,
  { width = 1440, height = 5_000, dark = false, reducedMotion = false, script }: VisitOptions = {},
): Promise<Visit> {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: reducedMotion ? "reduce" : "no-preference",
  });
  onTestFinished(() => page.close());
  const trouble: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) trouble.push(message.text());
  });
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`)) trouble.push(`request to ${request.url()}`);
  });
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective))",
  );
  if (script !== undefined) {
    const contentType = "text/javascript";
    await page.route(`${url}/app.js`, (route) => route.fulfill({ contentType, body: script }));
  }
  await page.goto(`${url}/`);
  return { page, trouble };
}

export async function ready(page: Page): Promise<void> {
  await page.waitForSelector("html[data-ready='true'][data-live='live']");
}
