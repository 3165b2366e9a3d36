import { afterEach, beforeEach, expect, test } from "vitest";
import { ResourceChanges, type ResourceChange } from "../src/host/resource-changes.ts";
import { SwarmEvents } from "../src/swarm/events.ts";
import { PublishingStore } from "../src/swarm/publishing-store.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";

let store: PublishingStore;
let changes: ResourceChanges;
let heard: ResourceChange[];
let errors: unknown[];
beforeEach(() => {
  errors = [];
  heard = [];
  const events = new SwarmEvents((error) => errors.push(error));
  store = new PublishingStore(new SqliteSwarmStore(":memory:"), events);
  changes = new ResourceChanges(events, (error) => errors.push(error));
});
afterEach(() => store[Symbol.asyncDispose]());

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function changesOf(work: () => Promise<unknown>): Promise<readonly ResourceChange[]> {
  const subscription = changes.subscribe((change) => heard.push(change));
  await work();
  await turn();
  subscription[Symbol.dispose]();
  return heard.splice(0);
}

test("scaling a swarm down names the swarm once, and every agent that retired", async () => {
  const { swarm, agents } = await store.createSwarm({ name: "s", goal: "", size: 3 });
  const [change, ...others] = await changesOf(() => store.scaleSwarm(swarm.id, 1));
  expect(others).toEqual([]);
  expect(change?.list).toBe(false);
  expect(change?.uris.toSorted()).toEqual(
    [`agent://${agents[1]!.id}`, `agent://${agents[2]!.id}`, `swarm://${swarm.id}`].toSorted(),
  );
});

test("a new swarm changes the list, its agents and itself in one go", async () => {
  const told = await changesOf(() => store.createSwarm({ name: "s", goal: "", size: 2 }));
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ list: true });
  expect(new Set(told[0]?.uris).size).toBe(told[0]?.uris.length);
});

test("many tasks at once are one change of their swarm, and later ones another", async () => {
  const { swarm } = await store.createSwarm({ name: "s", goal: "", size: 1 });
  const tasks = Array.from({ length: 100 }, () => ({ title: "t", swarmId: swarm.id }));
  const told = await changesOf(async () => {
    await store.assignTasks(tasks);
    await turn();
    await store.assignTasks(tasks);
  });
  expect(told).toEqual([
    { uris: [`swarm://${swarm.id}`], list: false },
    { uris: [`swarm://${swarm.id}`], list: false },
  ]);
});

test("a listener that fails is reported, and the others hear the change", async () => {
  changes.subscribe(() => {
    throw new Error("cannot listen");
  });
  expect(await changesOf(() => store.createSwarm({ name: "s", goal: "", size: 0 }))).toHaveLength(
    1,
  );
  expect(errors).toMatchObject([{ message: "cannot listen" }]);
});
