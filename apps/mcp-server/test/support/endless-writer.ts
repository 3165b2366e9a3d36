import { writeSync } from "node:fs";
import { SqliteSwarmStore } from "../../src/swarm/sqlite/sqlite-store.ts";

const store = new SqliteSwarmStore(process.argv[2]!);
for (;;) {
  const { id } = await store.createAgent({ name: "a", role: "r" });
  writeSync(1, `${id}\n`);
}
