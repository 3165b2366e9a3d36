import type { EventCacheOptions } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import { FaultyStore } from "./faulty-store.ts";
import type { Clock } from "./support.ts";
import { manualClock } from "./support.ts";

export const clock: Clock = manualClock(Date.now());

export function processOn(store: FaultyStore, options: EventCacheOptions = {}): EventCache {
  return new EventCache({ store: store.client(), now: clock.now, random: () => 0, ...options });
}

export function calmStore(): FaultyStore {
  const store = new FaultyStore();
  store.immediate = true;
  return store;
}

export function counter(): { readonly compute: () => number; count: number } {
  const counted = { count: 0, compute: () => ++counted.count };
  return counted;
}
