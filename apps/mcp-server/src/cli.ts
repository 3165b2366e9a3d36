import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { configCommands } from "./config/commands.ts";
import { defaultStore, loadConfig } from "./config/load.ts";
import {
  choicesOf,
  flagOf,
  longFlagOf,
  options,
  variableOf,
  type Config,
  type Option,
} from "./config/options.ts";
import { McpAccelError } from "./errors.ts";
import { quietSqlite } from "./quiet-sqlite.ts";
import { version } from "./version.ts";

/** Runs one command. @returns the exit code: 0 done, 1 failed, 2 wrong usage */
export async function run(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === "--version" || command === "-v") return print(version);
  if (command === undefined || command === "--help" || command === "-h" || command === "help")
    return print(usage());
  if (command === "config") return runConfig(rest);
  if (command !== "serve")
    return refuse(`Unknown command "${command}". The commands are: serve, config.`);
  return withFlags(rest, async (flags) =>
    flags["help"] === true ? print(serveUsage()) : start(flags),
  );
}

type Flags = Readonly<Record<string, string | boolean | undefined>>;

async function withFlags(
  args: readonly string[],
  work: (flags: Flags) => Promise<number>,
): Promise<number> {
  let flags: Flags;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return refuse(explain(error as Error));
  }
  return work(flags);
}

async function runConfig([command, ...rest]: readonly string[]): Promise<number> {
  if (command === undefined || command === "--help" || command === "-h") return print(configUsage);
  if (!isConfigCommand(command))
    return refuse(
      `Unknown command "config ${command}". The commands are: ${Object.keys(configCommands).join(", ")}.`,
    );
  return withFlags(rest, async ({ stdio, help, config: file, ...flags }) => {
    if (help === true) return print(configUsage);
    const sources = { flags, env: process.env, file: file as string | undefined };
    return reporting(async () => print(configCommands[command](sources, stdio === true)));
  });
}

function isConfigCommand(name: string): name is keyof typeof configCommands {
  return Object.hasOwn(configCommands, name);
}

async function start({ stdio, config: file, ...flags }: Flags): Promise<number> {
  return reporting(async () => {
    const path = file as string | undefined;
    const load = (): Config => loadConfig({ flags, env: process.env, file: path });
    const config = load();
    quietSqlite();
    makeStateFolder(config.store);
    const { serve } = await import("./serve.ts");
    const reload = path === undefined ? undefined : { file: path, load };
    await serve(config, { stdio: stdio === true, reload });
    return 0;
  });
}

/** An error for the person at the terminal is one line and an exit code. */
async function reporting(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof McpAccelError)) throw error;
    console.error(`mcp-accel: ${error.message}`);
    return error.code === "MCP_ACCEL_CONFIG" ? 2 : 1;
  }
}

/** Only the folder that is ours is made: a mistyped path is an error, not an empty database. */
function makeStateFolder(store: string): void {
  if (store !== defaultStore(process.env)) return;
  try {
    mkdirSync(dirname(store), { recursive: true });
  } catch {
    // Opening the file says what is wrong with its folder.
  }
}

function parseFlags(args: readonly string[]): Flags {
  const spec: ParseArgsOptionsConfig = {
    stdio: { type: "boolean" },
    help: { type: "boolean", short: "h" },
    config: { type: "string" },
  };
  for (const option of options as readonly Option[]) {
    spec[longFlagOf(option.path)] = { type: "string" };
    spec[flagOf(option)] = { type: "string" };
  }
  return parseArgs({ args: [...args], options: spec, strict: true }).values as Flags;
}

/** Node's own message names the flag; what follows it is advice for other programs. */
function explain({ message }: Error): string {
  const [, ambiguous] = /^Option '(-[^']*)' argument is ambiguous/.exec(message) ?? [];
  if (ambiguous !== undefined)
    return `${ambiguous}: the value looks like a flag. Write ${ambiguous}=VALUE if it is meant. 'mcp-accel serve --help' lists the flags.`;
  const [first = message] = message.split(/\. |\n/);
  return `${first.replace(/\.$/, "")}. 'mcp-accel serve --help' lists the flags.`;
}

function print(text: string): 0 {
  console.log(text);
  return 0;
}

function refuse(text: string): 2 {
  console.error(`mcp-accel: ${text}`);
  return 2;
}

function usage(): string {
  return `mcp-accel ${version}: the reference MCP server with its optimisations built in

Usage
  mcp-accel serve            serve over HTTP on this machine
  mcp-accel serve --stdio    serve one client on stdin and stdout
  mcp-accel serve --help     list every flag
  mcp-accel config check     say whether the configuration is right, and start nothing
  mcp-accel config print     show every option, its value and where it came from
  mcp-accel config schema    print the JSON Schema of the configuration file
  mcp-accel --version`;
}

const configUsage = `Usage: mcp-accel config <check|print|schema> [--config <file>] [flags of serve]

  check    exit with 0 when serve would start with these flags, variables and file, with 2 otherwise
  print    every option, its value and where it came from; secrets are not shown
  schema   the JSON Schema of the file: { "$schema": "./config.schema.json" } makes editors complete it`;

function serveUsage(): string {
  const rows = (options as readonly Option[]).map((option) => {
    const kind = choicesOf(option)?.join("|") ?? option.type;
    return `  --${flagOf(option)} <${kind}>\n      ${option.help}. Default: ${option.default === "" ? "none" : option.default}. ${variableOf(option.path)}`;
  });
  return `Usage: mcp-accel serve [flags]

  --stdio
      Serve one client on stdin and stdout instead of HTTP
  --config <file>
      Read options from a JSON file, for example { "http": { "port": 7420 } }
${rows.join("\n")}

A flag wins over its environment variable, which wins over the file, which wins over the default.`;
}
