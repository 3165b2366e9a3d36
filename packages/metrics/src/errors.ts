/** Base of every error of this package. `code` is stable; messages are for people and may change. */
export class MetricsError extends Error {
  override readonly name: string = "MetricsError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** `METRICS_INVALID_OPTION`: an option or argument has the wrong type or range; nothing was changed. */
export class InvalidOptionError extends MetricsError {
  override readonly name = "InvalidOptionError";
  readonly option: string;

  constructor(option: string, expected: string, received: unknown) {
    super("METRICS_INVALID_OPTION", `${option}: expected ${expected}, got ${describe(received)}`);
    this.option = option;
  }
}

/** `METRICS_INVALID_FAMILY`: a component describes a family that no exposition format can carry. */
export class InvalidFamilyError extends MetricsError {
  override readonly name = "InvalidFamilyError";
  readonly family: string;

  constructor(family: string, expected: string, received: unknown) {
    super(
      "METRICS_INVALID_FAMILY",
      `family ${describe(family)}: expected ${expected}, got ${describe(received)}; correct it in the component's metricFamilies()`,
    );
    this.family = family;
  }
}

/** `METRICS_FAMILY_CONFLICT`: the name is taken by a family of another shape. */
export class FamilyConflictError extends MetricsError {
  override readonly name = "FamilyConflictError";
  readonly family: string;

  constructor(family: string, conflict: string) {
    super("METRICS_FAMILY_CONFLICT", `family ${family}: ${conflict}; rename one of the two`);
    this.family = family;
  }
}

/** `METRICS_ALREADY_COLLECTED`: the same family is collected with the same constant labels. */
export class AlreadyCollectedError extends MetricsError {
  override readonly name = "AlreadyCollectedError";
  readonly family: string;

  constructor(family: string, labels: Readonly<Record<string, string>>) {
    super(
      "METRICS_ALREADY_COLLECTED",
      `family ${family} is already collected with the labels ${JSON.stringify(labels)}; ` +
        "dispose the earlier collection, or pass other labels: collect(component, { labels: { name: … } })",
    );
    this.family = family;
  }
}

/** `METRICS_CLOSED`: the `Metrics` was closed. */
export class MetricsClosedError extends MetricsError {
  override readonly name = "MetricsClosedError";

  constructor(call: string) {
    super("METRICS_CLOSED", `${call}: these metrics are closed; create new Metrics`);
  }
}

/** `METRICS_INVALID_SAMPLE`: what a component read or emitted does not match its own description. Seen in `collectError` events. */
export class InvalidSampleError extends MetricsError {
  override readonly name = "InvalidSampleError";
  readonly family: string;

  constructor(family: string, expected: string, received: unknown) {
    super(
      "METRICS_INVALID_SAMPLE",
      `family ${family}: expected ${expected}, got ${describe(received)}`,
    );
    this.family = family;
  }
}

/** `METRICS_NESTED_READ`: a component's `read()` asks for all series, which would ask for its own again. */
export class NestedReadError extends MetricsError {
  override readonly name = "NestedReadError";
  readonly family: string;

  constructor(family: string, call: string) {
    super(
      "METRICS_NESTED_READ",
      `${call}: called while the family ${family} is read; call it outside of read() and of collectError listeners`,
    );
    this.family = family;
  }
}

/** `METRICS_UNSUPPORTED_SERVER`: the object is not an MCP server of a known shape. */
export class UnsupportedServerError extends MetricsError {
  override readonly name = "UnsupportedServerError";

  constructor(missing: string) {
    super(
      "METRICS_UNSUPPORTED_SERVER",
      `expected an McpServer of @modelcontextprotocol/sdk 1.x or @modelcontextprotocol/server 2.x, got an object without ${missing}; measure calls with measure() instead`,
    );
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
