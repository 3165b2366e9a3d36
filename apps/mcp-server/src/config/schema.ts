import { appliesLive } from "./live.ts";
import { choicesOf, options, variableOf, type Option } from "./options.ts";

type Schema = Readonly<Record<string, unknown>>;
type Tree = { [key: string]: Tree | Option };

/** The configuration file as JSON Schema 2020-12, made from the one table of options. */
export function configSchema(): Schema {
  const tree: Tree = {};
  for (const option of options as readonly Option[]) place(tree, option.path.split("."), option);
  const { properties, ...rest } = objectOf(tree);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of mcp-accel",
    ...rest,
    properties: {
      $schema: { type: "string", description: "Where this schema is; for editors" },
      ...(properties as Schema),
    },
  };
}

function place(tree: Tree, [key = "", ...rest]: readonly string[], option: Option): void {
  if (rest.length === 0) {
    tree[key] = option;
    return;
  }
  const below = (tree[key] ??= {}) as Tree;
  place(below, rest, option);
}

function objectOf(tree: Tree): Schema {
  const properties = Object.entries(tree).map(([key, entry]) => [
    key,
    isOption(entry) ? valueOf(entry) : objectOf(entry),
  ]);
  return {
    type: "object",
    properties: Object.fromEntries(properties) as Schema,
    additionalProperties: false,
  };
}

function isOption(entry: Tree | Option): entry is Option {
  return typeof entry["path"] === "string";
}

function valueOf(option: Option): Schema {
  const effect = appliesLive(option.path)
    ? "Changes while the server runs"
    : "A change needs a restart";
  return {
    description: `${option.help}. ${effect}. ${variableOf(option.path)}`,
    ...shapeOf(option),
    ...(option.default !== "" && { default: option.default }),
  };
}

function shapeOf(option: Option): Schema {
  if (option.type === "boolean") return { type: "boolean" };
  if (option.type === "integer") {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = option;
    return { type: "integer", minimum: min, maximum: max };
  }
  const choices = choicesOf(option);
  return choices === undefined ? { type: "string", minLength: 1 } : { enum: choices };
}
