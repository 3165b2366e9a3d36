import type { RedisConnection } from "./redis-connection.ts";

export interface StreamEntry {
  readonly id: string;
  /** Counts up by one from entry to entry, so that a missing one shows; `NaN` in an entry that is not ours. */
  readonly number: number;
  readonly origin: string;
  readonly fences: readonly string[];
  readonly event: string;
}

const batch = 100;

/** What came after `id`, in order; nothing when there is nothing new for `blockMs`. */
export async function readAfter(
  connection: RedisConnection,
  stream: string,
  id: string,
  blockMs: number,
): Promise<readonly StreamEntry[]> {
  const wait = ["BLOCK", String(blockMs)];
  const command = ["XREAD", "COUNT", String(batch), ...wait, "STREAMS", stream, id];
  const reply = (await connection.send(command)) as Readonly<Record<string, unknown>> | null;
  const entries = reply?.[stream];
  return Array.isArray(entries) ? entries.map(parse) : [];
}

export async function readLast(
  connection: RedisConnection,
  stream: string,
): Promise<StreamEntry | undefined> {
  const reply = await connection.send(["XREVRANGE", stream, "+", "-", "COUNT", "1"]);
  return (reply as readonly unknown[]).map(parse)[0];
}

export function isBefore(id: string, other: string): boolean {
  const [time = 0, turn = 0] = id.split("-").map(Number);
  const [otherTime = 0, otherTurn = 0] = other.split("-").map(Number);
  return time < otherTime || (time === otherTime && turn < otherTurn);
}

function parse(entry: unknown): StreamEntry {
  const [id, flat] = entry as readonly [string, readonly string[]];
  const field = (name: string): string => {
    const at = flat.findIndex((text, index) => index % 2 === 0 && text === name);
    return (at < 0 ? undefined : flat[at + 1]) ?? "";
  };
  const fences = namesIn(field("f"));
  const number = fences === undefined || field("n") === "" ? NaN : Number(field("n"));
  return { id, number, origin: field("o"), fences: fences ?? [], event: field("e") };
}

function namesIn(json: string): readonly string[] | undefined {
  try {
    const names: unknown = JSON.parse(json);
    return Array.isArray(names) ? names.map(String) : undefined;
  } catch {
    return undefined;
  }
}
