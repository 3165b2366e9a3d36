import type { Check, Scenario } from "./suite.ts";

export type TargetName = "fixture" | "server";

export interface Verdict {
  readonly scenario: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it did not pass, or which of its checks did not apply. */
  readonly notes: readonly string[];
}

/** Scenarios that ask nothing of a server but what each one has. */
const standalone = new Set([
  "caching",
  "dns-rebinding-protection",
  "http-header-validation",
  "input-required-result-unsupported-methods",
  "ping",
  "prompts-list",
  "resources-list",
  "resources-subscribe",
  "resources-unsubscribe",
  "sep-2164-resource-not-found",
  "server-initialize",
  "server-session-lifecycle",
  "server-sse-multiple-streams",
  "server-stateless",
  "tools-list",
]);

/**
 * Judges more strictly than the suite: advice that is not followed (a warning) fails a scenario, too.
 * Neither the fixture nor the server offers an extension of the protocol.
 */
export function judge(
  target: TargetName,
  { name, checks }: Scenario,
  extensions: ReadonlySet<string>,
): Verdict {
  if (extensions.has(name)) return skip(name, "belongs to an extension that is not offered");
  if (target === "server" && !standalone.has(name))
    return skip(name, "asks for a tool, prompt, resource or capability that only the fixture has");
  const ofFixture = target === "server" ? checks.filter(({ details }) => details?.untestable) : [];
  const judged = checks.filter((check) => !ofFixture.includes(check));
  const wrong = judged.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  if (wrong.length > 0) return { scenario: name, outcome: "failed", notes: wrong.map(describe) };
  if (!judged.some(({ status }) => status === "SUCCESS"))
    return { scenario: name, outcome: "failed", notes: ["no check of it ran to its end"] };
  const inapplicable = [...judged.filter(({ status }) => status === "SKIPPED"), ...ofFixture];
  const notes = inapplicable.map(({ id }) => `but its check ${id} does not apply`);
  return { scenario: name, outcome: "passed", notes };
}

function skip(scenario: string, note: string): Verdict {
  return { scenario, outcome: "skipped", notes: [note] };
}

function describe({ id, status, errorMessage = "" }: Check): string {
  return `${status} ${id}: ${errorMessage}`;
}
