import type { Writable } from "node:stream";

/**
 * The SDKs' stdio transports listen to their destination once for each message that waits for it to drain,
 * and Node takes more than ten for a leak. Here at most `count` can wait: beyond those Node still warns.
 * The returned function takes that back.
 */
export function expectListeners(writable: Writable, count: number): () => void {
  const add = (change: number): void => {
    const limit = writable.getMaxListeners();
    // 0 is no limit.
    if (limit > 0) writable.setMaxListeners(limit + change);
  };
  add(count);
  return () => {
    add(-count);
  };
}
