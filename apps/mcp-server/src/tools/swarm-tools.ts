import { z } from "zod";
import { ChangeWatch } from "../swarm/change-watch.ts";
import { agent, id, longText, shortText, swarm } from "./schemas.ts";
import { mustFit } from "./result-room.ts";
import type { Services } from "./services.ts";
import { additive, defineTool, destructive, readOnly, type Tool } from "./tool.ts";

const size = z.number().int().min(0).max(1_000).describe("Number of active agents asked for");
const statusOutput = z.object({
  swarm,
  agents: z.object({ active: z.number(), retired: z.number() }),
  tasks: z.object({ assigned: z.number(), done: z.number(), failed: z.number() }),
});

export function swarmTools({ store, events, maxResultBytes }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "create_swarm",
      title: "Create a swarm",
      description: "Creates a swarm with a goal and its first agents.",
      input: z.strictObject({
        name: shortText("The swarm's name"),
        goal: longText("What the swarm is for").default(""),
        size: size.default(3),
      }),
      output: z.object({ swarm, agents: z.array(agent) }),
      annotations: additive,
      tier: "standard",
      heedsRoom: true,
      run: async (input, context) => {
        const maxBytes = context.maxResultBytes ?? maxResultBytes;
        const advice = "Create it with fewer agents, and add the others with scale_swarm";
        const made = await store.createSwarm(input, (result) =>
          mustFit(result, { tool: "create_swarm", maxBytes, advice }),
        );
        return { swarm: made.swarm, agents: [...made.agents] };
      },
    }),
    defineTool({
      name: "scale_swarm",
      title: "Scale a swarm",
      description:
        "Adds agents up to the size, or retires the youngest without open tasks down to it. Agents with open tasks stay and are counted as busy.",
      input: z.strictObject({ swarmId: id("The swarm's id"), size }),
      output: z.object({
        swarm,
        created: z.array(agent),
        retired: z.array(agent),
        busy: z.number(),
      }),
      annotations: destructive,
      tier: "standard",
      heedsRoom: true,
      run: async ({ swarmId, size: target }, context) => {
        const maxBytes = context.maxResultBytes ?? maxResultBytes;
        const advice = "Scale in several steps";
        const scaling = await store.scaleSwarm(swarmId, target, (result) =>
          mustFit(result, { tool: "scale_swarm", maxBytes, advice }),
        );
        return { ...scaling, created: [...scaling.created], retired: [...scaling.retired] };
      },
    }),
    defineTool({
      name: "swarm_status",
      title: "Status of a swarm",
      description: "Counts a swarm's agents and tasks by status.",
      input: z.strictObject({ swarmId: id("The swarm's id") }),
      output: statusOutput,
      annotations: readOnly,
      tier: "fast",
      cacheTags: () => ["swarm_status"],
      run: async ({ swarmId }) => store.swarmStatus(swarmId),
    }),
    watchSwarm({ store, events }),
  ];
}

function watchSwarm({ store, events }: Pick<Services, "store" | "events">): Tool {
  return defineTool({
    name: "watch_swarm",
    title: "Watch a swarm",
    description:
      "Waits until the swarm's status differs from what it is now, or until the time is up, and returns the status.",
    input: z.strictObject({
      swarmId: id("The swarm's id"),
      timeoutMs: z
        .number()
        .int()
        .min(0)
        .max(60_000)
        .default(30_000)
        .describe("Longest wait in milliseconds"),
    }),
    output: statusOutput.extend({ changed: z.boolean() }),
    annotations: readOnly,
    tier: "slow",
    run: async ({ swarmId, timeoutMs }, { signal }) => {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const changes = new ChangeWatch(store, events, deadline);
      try {
        const before = await store.swarmStatus(swarmId);
        let status = before;
        while (same(status, before) && (await changes.next()))
          status = await store.swarmStatus(swarmId);
        signal.throwIfAborted();
        return { ...status, changed: !same(status, before) };
      } finally {
        changes[Symbol.dispose]();
      }
    },
  });
}

function same(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
