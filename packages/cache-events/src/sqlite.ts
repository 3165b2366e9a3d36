export { SqliteStore, sqliteStore } from "./sqlite-store.ts";
export type { SqliteStoreOptions } from "./sqlite-options.ts";
