import type { Edits } from "../planted-copies.ts";

export interface PlantedBug extends Edits {
  readonly name: string;
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "one permit too many",
    file: "resource-pool.ts",
    edits: [
      [
        "return this.#inUse + weight <= this.#capacity;",
        "return this.#inUse + weight <= this.#capacity + 1;",
      ],
    ],
  },
  {
    name: "the weight is not looked at",
    file: "resource-pool.ts",
    edits: [
      ["return this.#inUse + weight <= this.#capacity;", "return this.#inUse < this.#capacity;"],
    ],
  },
  {
    name: "a permit given back twice counts twice",
    file: "permit.ts",
    edits: [["    this.#onRelease = undefined;\n", ""]],
  },
  {
    name: "a release serves nobody",
    file: "resource-pool.ts",
    edits: [
      [
        '      safely(() => this.emit("release", { weight: permit.weight, heldMs }));\n    }\n    this.#serve();',
        '      safely(() => this.emit("release", { weight: permit.weight, heldMs }));\n    }',
      ],
    ],
  },
  {
    name: "a waiter that leaves serves nobody",
    file: "resource-pool.ts",
    edits: [
      [
        "    node.value.reject(this.#refuse(reason, error));\n    this.#serve();",
        "    node.value.reject(this.#refuse(reason, error));",
      ],
    ],
  },
  {
    name: "whoever timed out or left is served all the same",
    file: "pool-queue.ts",
    edits: [
      ["const removed = this.#queueOf(node.value).remove(node);", "const removed = node.queued;"],
    ],
  },
  {
    name: "a light waiter overtakes a heavy one",
    file: "resource-pool.ts",
    edits: [
      [
        "const free = this.#queue.size === 0 || this.#queue.isFree(priority, now());",
        "const free = this.#queue.size >= 0 || this.#queue.isFree(priority, now());",
      ],
    ],
  },
  {
    name: "trying overtakes those who wait",
    file: "resource-pool.ts",
    edits: [
      [
        "!this.#closed && this.#queue.size === 0 && this.#fits(weight)",
        "!this.#closed && this.#fits(weight)",
      ],
    ],
  },
  {
    name: "priorities are not looked at",
    file: "pool-queue.ts",
    edits: [
      [
        "return PRIORITIES.indexOf(priority) - Math",
        "return PRIORITIES.indexOf(priority) * 0 - Math",
      ],
    ],
  },
  {
    name: "nobody grows older",
    file: "pool-queue.ts",
    edits: [
      [
        " - Math.floor((now - startedAt) / this.#agingMs)",
        " - Math.floor((now - startedAt) / Infinity)",
      ],
    ],
  },
  {
    name: "among equals the youngest is first",
    file: "pool-queue.ts",
    edits: [["node.value.order < first.value.order", "node.value.order > first.value.order"]],
  },
  {
    name: "a timeout leaves its timer behind",
    file: "resource-pool.ts",
    edits: [["      cancelTimeout();\n", ""]],
  },
  {
    name: "who can no longer fit waits on",
    file: "resource-pool.ts",
    edits: [
      [
        "      if (weight <= capacity) continue;",
        "      if (weight <= capacity || node.queued) continue;",
      ],
    ],
  },
  {
    name: "the queue has one place too many",
    file: "resource-pool.ts",
    edits: [["if (this.#queue.size >= queueLimit)", "if (this.#queue.size > queueLimit)"]],
  },
  {
    name: "a permit given back is still watched",
    file: "resource-pool.ts",
    edits: [["    this.#unwatch.get(permit)?.();\n", ""]],
  },
  {
    name: "closing lets those in who wait behind a heavy one",
    file: "resource-pool.ts",
    edits: [
      ["    while (this.#queue.size > 0 && !this.#closed) {", "    while (this.#queue.size > 0) {"],
    ],
  },
];
