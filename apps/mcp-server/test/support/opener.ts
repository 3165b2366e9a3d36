import { writeSync } from "node:fs";
import { SqliteSwarmStore } from "../../src/swarm/sqlite/sqlite-store.ts";

writeSync(1, "opening\n");
const store = new SqliteSwarmStore(process.argv[2]!);
await store[Symbol.asyncDispose]();
