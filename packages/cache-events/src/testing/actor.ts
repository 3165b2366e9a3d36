import type { Operation, Workload } from "./workload.ts";
import type { ReadPlan, Witness } from "./witness.ts";

/** How time passes in a race. */
export interface Pace {
  readonly random: () => number;
  /** As long as a compute takes. */
  readonly work: () => Promise<void>;
  /** Lets others go first, or not. */
  readonly pause: () => Promise<void>;
}

/** An error that the suite made a compute throw, or a reader abort with. */
export class PlannedError extends Error {
  override readonly name = "PlannedError";
}

const failingComputes = 0.05;
const abortingReaders = 0.05;

/** Does the next thing that the workload says; never rejects. */
export async function act(witness: Witness, workload: Workload, pace: Pace): Promise<void> {
  try {
    await perform(witness, workload.next(), pace);
  } catch (error) {
    if (!isPlanned(error)) witness.recorder.failed(error);
  }
  await pace.pause();
}

async function perform(witness: Witness, operation: Operation, pace: Pace): Promise<void> {
  switch (operation.kind) {
    case "cut":
      return witness.cut(withWork(operation.cut, pace));
    case "get":
      return witness.get(operation.target);
    case "peek":
      return witness.peek(operation.target);
    case "disturb":
      return witness.cache.disturb?.(pace.random);
    default:
      return witness.read(operation.target, planOf(witness, operation.target.lateTags, pace));
  }
}

/** Some caches wrap what a compute throws. */
function isPlanned(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < 5; depth++) {
    if (cause instanceof PlannedError) return true;
    ({ cause } = cause);
  }
  return false;
}

type CutOperation = Extract<Operation, { kind: "cut" }>["cut"];

function withWork(cut: CutOperation, pace: Pace): CutOperation {
  return cut.kind === "write" ? { ...cut, mutate: pace.work } : cut;
}

function planOf(witness: Witness, lateTags: readonly string[], pace: Pace): ReadPlan {
  const { random } = pace;
  const fails = random() < failingComputes;
  const early = random() < 0.5;
  const work: ReadPlan["work"] = async (context) => {
    if (early && lateTags.length > 0) context?.tag?.(...lateTags);
    await pace.work();
    if (fails) throw new PlannedError("a compute that fails");
  };
  const aborts = random() < abortingReaders;
  if (!aborts || witness.cache.features?.includes("signal") !== true) return { work };
  const controller = new AbortController();
  void pace.work().then(() => controller.abort(new PlannedError("a reader that leaves")));
  return { work, signal: controller.signal };
}
