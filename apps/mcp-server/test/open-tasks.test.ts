import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import type { Task } from "../src/swarm/types.ts";

type Step = { readonly kind: "assign" | "complete" | "retire"; readonly pick: number };

const steps = fc.array(
  fc.record<Step>({ kind: fc.constantFrom("assign", "complete", "retire"), pick: fc.nat(99) }),
  { maxLength: 40 },
);

test("a task always goes to the active agent with the fewest open ones, the oldest of equals", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      await using store = new SqliteSwarmStore(":memory:");
      const { agents } = await store.createSwarm({ name: "s", goal: "", size: 4 });
      const model = agents.map(({ id }) => ({ id, active: true, open: [] as string[] }));
      const outcomes: unknown[] = [];
      const expected: object[] = [];
      for (const { kind, pick } of script) {
        const chosen = model[pick % model.length]!;
        if (kind === "retire") {
          await store.retireAgent(chosen.id);
          chosen.active = false;
        } else if (kind === "complete") {
          const taskId = chosen.open.pop();
          if (taskId !== undefined) await store.completeTask(taskId, "done");
        } else {
          const [outcome] = await store.assignTasks([{ title: "t" }]);
          const [least] = model
            .filter(({ active }) => active)
            .toSorted((a, b) => a.open.length - b.open.length);
          outcomes.push(outcome);
          expected.push(
            least === undefined ? { code: "NO_AGENT_AVAILABLE" } : { agentId: least.id },
          );
          least?.open.push((outcome as Task).id);
        }
      }
      expect(outcomes).toMatchObject(expected);
    }),
    { numRuns: 100 },
  );
});
