import { parseArgs } from "node:util";

export type Mode = "check" | "plant" | "update";

export interface GateOptions {
  readonly mode: Mode;
  readonly names: readonly string[];
  readonly repeat: number;
  readonly json: boolean;
}

/** @throws Error that says what is wrong with the arguments */
export function readOptions(args: readonly string[], all: readonly string[]): GateOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      plant: { type: "boolean", default: false },
      repeat: { type: "string", default: "1" },
      update: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const { json, plant, repeat, update } = values;
  const unknown = positionals.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${all.join(", ")}`);
  if (!/^[1-9]\d{0,3}$/.test(repeat))
    throw new Error(`--repeat takes a number from 1 to 9999, not "${repeat}"`);
  if (plant && update) throw new Error("--plant and --update exclude each other");
  return {
    mode: plant ? "plant" : update ? "update" : "check",
    names: positionals.length === 0 ? all : [...new Set(positionals)],
    repeat: Number(repeat),
    json,
  };
}
