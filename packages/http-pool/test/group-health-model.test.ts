import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GroupCore } from "../src/group-core.ts";
import { resolveGroupOptions } from "../src/group-options.ts";
import type { Balance, FailureKind } from "../src/index.ts";
import type { Replica } from "../src/replica.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { seeded } from "./helpers/seeded.ts";

const MAX_SHARE = 0.5;
const BASE_EJECTION_MS = 1000;

const outcome: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step["kind"][]>(
    "ok",
    "connect",
    "reset",
    "timeout",
    "status",
    "hang",
    "wait",
    "probe",
  ),
  replica: fc.nat(9),
  times: fc.integer({ min: 1, max: 8 }),
});

interface Step {
  readonly kind: FailureKind | "ok" | "wait" | "probe";
  readonly replica: number;
  readonly times: number;
}

interface World {
  readonly core: GroupCore;
  readonly time: FakeTime;
  readonly replicas: Replica[];
}

function create(count: number, balance: Balance): World {
  const time = new FakeTime();
  const { now, schedule } = time;
  const options = resolveGroupOptions(
    {
      balance,
      now,
      schedule,
      random: seeded(1),
      probe: false,
      outlier: { maxEjectedShare: MAX_SHARE, baseEjectionMs: BASE_EJECTION_MS },
    },
    () => undefined,
  );
  const core = new GroupCore("http://group.test", options, () => undefined);
  const replicas = Array.from({ length: count }, (_, index) =>
    core.createReplica(new URL(`http://10.0.0.${index}`), 1 + (index % 3), undefined),
  );
  for (const replica of replicas) core.set.add(replica);
  return { core, time, replicas };
}

function apply({ core, time, replicas }: World, step: Step): void {
  const replica = replicas[step.replica % replicas.length] as Replica;
  for (let count = 0; count < step.times; count += 1) {
    if (step.kind === "wait") time.advance(300);
    else if (step.kind === "probe") core.health.probed(replica, { ok: true, durationMs: 1 });
    else if (step.kind === "ok") {
      core.health.answered(replica);
      core.health.succeeded(replica);
    } else core.health.failed(replica, step.kind);
  }
}

/** What must hold at every moment. */
function check({ core, replicas }: World): void {
  const ejected = replicas.filter(({ ejection }) => ejection !== undefined).length;
  const allowed = Math.max(1, Math.floor(MAX_SHARE * replicas.length));
  expect(ejected).toBeLessThanOrEqual(replicas.length < 2 ? 0 : allowed);
  const picked = core.router.pick({ sticky: false }, []);
  const couldTake = replicas.some((replica) => core.set.takes(replica));
  expect(picked !== undefined).toBe(couldTake);
  expect(picked === undefined || core.set.takes(picked)).toBe(true);
  expect(core.set.panic).toBe(core.set.usable < 0.3 * replicas.length);
}

test("whatever happens, few are ejected, picks are fit, and all that heal are back in time", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom<Balance[]>("peak-ewma", "least-request", "round-robin", "hash"),
      fc.array(outcome, { maxLength: 80 }),
      (count, balance, steps) => {
        const world = create(count, balance);
        const { core, time, replicas } = world;
        for (const step of steps) {
          apply(world, step);
          check(world);
        }
        // All are well now. Whoever is asked answers; the longest ejection is the maximum.
        time.advance(120_000);
        for (let asked = 0; asked < 200; asked += 1) {
          const picked = core.router.pick({ sticky: false }, []);
          expect(picked).toBeDefined();
          core.health.answered(picked as Replica);
          core.health.succeeded(picked as Replica);
          time.advance(100);
        }
        const states = new Set(replicas.map(({ state }) => state));
        expect(states).toEqual(new Set(["usable"]));
        core[Symbol.dispose]();
        expect(time.pending).toBe(0);
      },
    ),
    { numRuns: 200 },
  );
});

test("a replica that was asked once is back in the rotation of every balancer", () => {
  for (const balance of ["peak-ewma", "least-request", "round-robin"] as const) {
    const { core, time, replicas } = create(4, balance);
    const [bad] = replicas as [Replica];
    for (let count = 0; count < 5; count += 1) core.health.failed(bad, "reset");
    expect(bad.state).toBe("ejected");
    const { unfitSince } = bad;
    expect(unfitSince).toBe(time.now());
    time.advance(BASE_EJECTION_MS);
    expect(bad.state).toBe("half-open");
    // A trial that may fail does not begin the grace of its sessions anew.
    expect(bad.unfitSince).toBe(unfitSince);
    core.health.answered(bad);
    expect(bad.state).toBe("usable");
    expect(bad.unfitSince).toBeUndefined();
    core[Symbol.dispose]();
  }
});
