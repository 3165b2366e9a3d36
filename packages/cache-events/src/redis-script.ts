import { createHash, randomBytes } from "node:crypto";
import type { RedisConnection } from "./redis-connection.ts";
import type { MoveOptions } from "./shared-store.ts";

/**
 * Moves fences and tells of it in the stream, as one step. A fence begins at a random number and is counted up: run twice, late,
 * or after an eviction it yields a value that it never had. `GET` returns it as text, for Lua's numbers end at 2^53. A fence that
 * is only to be created keeps the value that another process has given it meanwhile. The stream is looked at before anything is
 * changed, so that what is wrong with it is an error and not half a step.
 */
const source = `
local fences = tonumber(ARGV[1])
local stream = KEYS[fences + 1]
local number = ARGV[4]
if stream then
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local count = last and tonumber(last[2][2])
  if count then number = string.format('%.0f', count + 1) end
end
local moved = {}
for i = 1, fences do
  local key = KEYS[i]
  local created = redis.call('SET', key, ARGV[3], 'NX')
  if ARGV[5] == 'move' then redis.call('INCR', key) end
  if ARGV[5] == 'move' or created then
    if ARGV[2] == '0' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[2]) end
  end
  moved[i] = redis.call('GET', key)
end
if stream then
  redis.call('XADD', stream, 'MAXLEN', '~', ARGV[6], '*', 'n', number, 'o', ARGV[7], 'f', ARGV[8], 'e', ARGV[9])
end
return moved
`;
const digest = createHash("sha1").update(source).digest("hex");

export interface StreamedEvent {
  readonly stream: string;
  readonly maxEvents: number;
  readonly origin: string;
  readonly fences: readonly string[];
  readonly event: string;
}

/** The values of the fences after it, in their order. @throws StoreError when the server that moved them may not be the primary of `connection.history`. */
export async function moveFences(
  connection: RedisConnection,
  names: readonly string[],
  { lifetimeMs, create = false }: Pick<MoveOptions, "lifetimeMs" | "create">,
  streamed: StreamedEvent | undefined,
): Promise<readonly string[]> {
  const lifetime = Number.isFinite(lifetimeMs) ? Math.max(1, Math.ceil(lifetimeMs)) : 0;
  const keys = streamed === undefined ? names : [...names, streamed.stream];
  const parameters = [
    String(names.length),
    String(lifetime),
    randomBase(61),
    randomBase(40),
    create ? "create" : "move",
  ];
  if (streamed !== undefined) {
    const { maxEvents, origin, fences, event } = streamed;
    parameters.push(String(maxEvents), origin, JSON.stringify(fences), event);
  }
  const rest = [String(keys.length), ...keys, ...parameters];
  const moved = await connection
    .sendVouched(["EVALSHA", digest, ...rest])
    .catch((error: unknown) => {
      if (!isReply(error, "NOSCRIPT")) throw error;
      return connection.sendVouched(["EVAL", source, ...rest]);
    });
  return moved as readonly string[];
}

/** Whether Redis answered with this error. */
export function isReply(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code);
}

function randomBase(bits: number): string {
  return BigInt.asUintN(bits, randomBytes(8).readBigUInt64LE()).toString();
}
