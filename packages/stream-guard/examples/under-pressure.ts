// One client fills its share: it is refused, nobody else notices; as the whole guard fills, caches shrink first.
import assert from "node:assert/strict";
import { MemoryLimitError, StreamGuard } from "@mcp-accel/stream-guard";

const guard = new StreamGuard({
  maxMemoryBytes: 64 << 20,
  sessionMaxMemoryBytes: 32 << 20,
  principalMaxMemoryBytes: 24 << 20,
});

const cache = new Map([["yesterday", new Uint8Array(1 << 20)]]);
guard.addHook("elevated", ({ usedBytes }) => {
  console.log(`${usedBytes >> 20} MiB are in use: the cache goes`);
  cache.clear();
});

const [greedy, modest] = [guard.open({ principal: "ann" }), guard.open({ principal: "bob" })];
greedy.reserve(24 << 20);
assert.throws(
  () => greedy.reserve(1),
  (error) => error instanceof MemoryLimitError && error.scope === "principal",
);
modest.reserve(16 << 20);
assert.equal(guard.level, "normal");

guard.open({ principal: "carl" }).reserve(8 << 20);
assert.equal(guard.level, "elevated");
assert.equal(cache.size, 0);
assert.equal(guard.sessions().length, 3);

await guard.close();
assert.equal(guard.stats().usedBytes, 0);
