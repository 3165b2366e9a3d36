import { expect, test } from "vitest";
import { bundlePage, bundleScript } from "../page/bundle.ts";

const HANDLE = /\bdashboard(Receive|Keep|Size)\b/;

test("the script that is shipped has no globals and exports for tests, and that of the tests has", async () => {
  const shipped = String((await bundlePage())["app.js"]);
  expect(shipped).toContain("api/history");
  expect(shipped).not.toMatch(HANDLE);
  expect(shipped).not.toContain("globalThis");
  expect(shipped).not.toMatch(/\bexport\b/);
  expect(await bundleScript("probe.ts")).toMatch(HANDLE);
});
