import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { ConfigError } from "../errors.ts";
import { choicesOf, longFlagOf, options, variableOf, type Config, type Option } from "./options.ts";

const PREFIX = "MCP_ACCEL_";

type Raw = Readonly<Record<string, unknown>>;

export interface ConfigSources {
  /** Values of flags by their long name. */
  readonly flags: Raw;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a JSON file. */
  readonly file?: string | undefined;
}

/** A value, and where it came from: `--port`, `MCP_ACCEL_HTTP_PORT`, the file's path, or `default`. */
export interface Resolved {
  readonly option: Option;
  readonly value: unknown;
  readonly origin: string;
}

/**
 * Reads every option: flag before environment variable before file before default.
 * @throws ConfigError that names the place, what was expected and what came.
 */
export function loadConfig(sources: ConfigSources): Config {
  return toConfig(resolveOptions(sources));
}

/** @throws ConfigError as {@link loadConfig} */
export function resolveOptions({ flags, env, file }: ConfigSources): readonly Resolved[] {
  const fromFile = file === undefined ? {} : readFile(file);
  refuseUnknownVariables(env);
  const resolved = options.map((option: Option): Resolved => {
    refuseTwice(option, flags);
    const flag =
      option.alias !== undefined && option.alias in flags ? option.alias : longFlagOf(option.path);
    const variable = variableOf(option.path);
    const from = (value: unknown, origin: string, place = origin): Resolved => ({
      option,
      value: check(option, value, place),
      origin,
    });
    if (flags[flag] !== undefined) return from(flags[flag], `--${flag}`);
    if (isSet(env[variable])) return from(env[variable], variable);
    if (file !== undefined && fromFile[option.path] !== undefined)
      return from(fromFile[option.path], file, `${option.path} in ${file}`);
    if (option.path === "store" && option.default === "")
      return { option, value: defaultStore(env), origin: "default" };
    return { option, value: option.default, origin: "default" };
  });
  checkTogether(toConfig(resolved));
  return resolved;
}

function toConfig(resolved: readonly Resolved[]): Config {
  return Object.fromEntries(resolved.map(({ option, value }) => [option.path, value])) as Config;
}

/** What no value breaks alone. @throws ConfigError */
export function checkTogether(config: Config): void {
  if (config["guard.streamMaxMemoryBytes"] > config["guard.maxMemoryBytes"])
    throw wrong(
      "guard.streamMaxMemoryBytes",
      `at most guard.maxMemoryBytes (${config["guard.maxMemoryBytes"]})`,
      config["guard.streamMaxMemoryBytes"],
    );
  if (config["ops.port"] !== 0 && config["ops.port"] === config["http.port"])
    throw wrong("ops.port", "another port than http.port", config["ops.port"]);
}

function refuseTwice({ path, alias }: Option, flags: Raw): void {
  const long = longFlagOf(path);
  if (alias === undefined || alias === long || flags[alias] === undefined) return;
  if (flags[long] !== undefined)
    throw new ConfigError(`--${alias} and --${long} are the same option. Give one of them.`);
}

/** An empty variable counts as none, as compose files and shells leave it. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

function refuseUnknownVariables(env: ConfigSources["env"]): void {
  const known = new Set(options.map(({ path }) => variableOf(path)));
  const unknown = Object.keys(env).find((name) => name.startsWith(PREFIX) && !known.has(name));
  if (unknown !== undefined)
    throw new ConfigError(
      `The environment variable ${unknown} names no option. 'mcp-accel serve --help' lists those that exist.`,
    );
}

function check(option: Option, value: unknown, place: string): unknown {
  if (option.type === "integer") return checkInteger(option, value, place);
  if (option.type === "boolean") return checkBoolean(value, place);
  return checkText(option, value, place);
}

function checkBoolean(value: unknown, place: string): boolean {
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw wrong(place, "true or false", value);
}

function checkText(option: Option, value: unknown, place: string): string {
  const choices = choicesOf(option);
  if (typeof value === "string" && value !== "" && (choices?.includes(value) ?? true)) return value;
  const expected = choices === undefined ? "a text" : `one of ${choices.join(", ")}`;
  throw wrong(place, expected, option.secret === true ? "***" : value);
}

function checkInteger(
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Option,
  value: unknown,
  place: string,
): number {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= min && number <= max)
    return number;
  throw wrong(place, `an integer from ${min} to ${max}`, value);
}

function wrong(place: string, expected: string, came: unknown): ConfigError {
  return new ConfigError(
    `${place}: expected ${expected}, got ${JSON.stringify(came)?.slice(0, 100)}.`,
  );
}

function readFile(file: string): Raw {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(
      `Cannot read the configuration file ${file}: ${(error as Error).message}.`,
      { cause: error },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(
      `The configuration file ${file} is not valid JSON: ${(error as Error).message}.`,
      { cause: error },
    );
  }
  if (!isObject(value)) throw wrong(file, "a JSON object", value);
  return flatten(value, file);
}

/** `{ http: { port: 1 } }` becomes `{ "http.port": 1 }`; an unknown entry is an error. */
function flatten(object: Raw, file: string, prefix = ""): Raw {
  const known = options.map(({ path }): string => path);
  return Object.fromEntries(
    Object.entries(object).flatMap(([key, value]) => {
      const path = `${prefix}${key}`;
      if (known.includes(path)) return [[path, value]];
      if (path === "$schema") return [];
      if (!known.some((name) => name.startsWith(`${path}.`)))
        throw new ConfigError(
          `${path} in ${file}: no such option. 'mcp-accel serve --help' lists those that exist.`,
        );
      if (!isObject(value)) throw wrong(`${path} in ${file}`, "an object", value);
      return Object.entries(flatten(value, file, `${path}.`));
    }),
  );
}

function isObject(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** XDG state folder: https://specifications.freedesktop.org/basedir-spec/latest/ */
export function defaultStore(env: ConfigSources["env"]): string {
  const given = [env["XDG_STATE_HOME"], env["LOCALAPPDATA"]].find(
    (folder) => isSet(folder) && isAbsolute(folder),
  );
  return join(given ?? join(homedir(), ".local", "state"), "mcp-accel", "swarm.db");
}
