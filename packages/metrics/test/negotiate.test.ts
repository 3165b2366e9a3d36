import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { negotiateFormat } from "../src/negotiate.ts";

const PROMETHEUS_3 =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
  "application/openmetrics-text;version=0.0.1;q=0.5," +
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

describe("exposition: negotiation", () => {
  test.each([
    ["no header", undefined, "prometheus"],
    ["an empty header", " ", "prometheus"],
    ["anything", "*/*", "prometheus"],
    ["a browser", "text/html,application/xhtml+xml,*/*;q=0.8", "prometheus"],
    ["Prometheus 3", PROMETHEUS_3, "openmetrics"],
    ["OpenMetrics only", "application/openmetrics-text", "openmetrics"],
    [
      "upper case and a quoted version",
      'Application/OpenMetrics-Text; Version="1.0.0"',
      "openmetrics",
    ],
    ["another OpenMetrics version", "application/openmetrics-text; version=2.0.0", "prometheus"],
    [
      "text preferred by quality",
      "application/openmetrics-text;q=0.4, text/plain;q=0.5",
      "prometheus",
    ],
    ["equal quality", "application/openmetrics-text, text/plain", "prometheus"],
    ["text refused", "text/plain;q=0, */*", "openmetrics"],
    ["OpenMetrics refused", "application/openmetrics-text;q=0, */*", "prometheus"],
    ["a group", "application/*;q=0.9, text/*;q=0.1", "openmetrics"],
    [
      "an exact range before its group",
      "application/*;q=1, application/openmetrics-text;q=0",
      "prometheus",
    ],
    ["neither", "image/png", "prometheus"],
    ["a quality that is no number", "application/openmetrics-text;q=best", "prometheus"],
    ["an empty quality", "application/openmetrics-text;q=", "prometheus"],
    ["a quality above 1", "application/openmetrics-text;q=7, text/plain;q=0.1", "prometheus"],
  ])("%s", (_, accept, expected) => {
    expect(negotiateFormat(accept)).toBe(expected);
  });

  test("any header has an answer", () => {
    fc.assert(
      fc.property(fc.string(), (accept) => {
        expect(["prometheus", "openmetrics"]).toContain(negotiateFormat(accept));
      }),
    );
  });
});
