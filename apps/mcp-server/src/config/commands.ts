import { requireLoopback } from "../http/loopback.ts";
import { loadConfig, resolveOptions, type ConfigSources } from "./load.ts";
import type { Option } from "./options.ts";
import { configSchema } from "./schema.ts";

/** `mcp-accel config …`: what each command prints. @throws ConfigError as `serve` would */
export const configCommands = { check, print, schema } as const;

function check(sources: ConfigSources, stdio: boolean): string {
  const config = loadConfig(sources);
  if (!stdio) requireLoopback(config["http.host"]);
  return "The configuration is right.";
}

function print(sources: ConfigSources): string {
  const rows = resolveOptions(sources).map(({ option, value, origin }) => ({
    setting: `${option.path} = ${shown(option, value)}`,
    origin,
  }));
  const width = Math.max(...rows.map(({ setting }) => setting.length));
  return rows.map(({ setting, origin }) => `${setting.padEnd(width)}  # ${origin}`).join("\n");
}

function schema(): string {
  return JSON.stringify(configSchema(), undefined, 2);
}

/** A value as logs and terminals may show it: without secrets, and without the credentials in a URL. */
export function shown({ secret = false }: Pick<Option, "secret">, value: unknown): string {
  if (secret) return '"***"';
  const text = JSON.stringify(value);
  return text.replace(/^("[a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1***@");
}
