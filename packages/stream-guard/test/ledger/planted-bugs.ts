/** Textual replacements in one file of `src`; each text to replace must be there exactly once. */
export interface PlantedBug {
  readonly name: string;
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
  /** The settings under which it shows, and how many worlds that may take; all of them and 40 by default. */
  readonly kind?: string;
  readonly worlds?: number;
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "a release is not given back to the guard",
    file: "account.ts",
    edits: [["    this.#bank.ledger.give(bytes);\n", ""]],
  },
  {
    name: "a release is not given back to the principal",
    file: "account.ts",
    edits: [["    this.#principal?.give(bytes);\n", ""]],
  },
  {
    name: "the principal's budget is not asked",
    file: "account.ts",
    edits: [['    if (this.#principal?.fits(bytes) === false) return "principal";\n', ""]],
  },
  {
    name: "a shared buffer is charged for each of its views",
    kind: "streams",
    file: "chunk-size.ts",
    edits: [["sharesBuffer(chunk) && this.#views.has(chunk.buffer) ? 0 :", ""]],
  },
  {
    name: "a shared buffer is free when its first view is",
    kind: "streams",
    file: "chunk-size.ts",
    edits: [["      if (entry.count > 0) return 0;\n", ""]],
  },
  {
    name: "a release after the close counts",
    file: "streaming-session.ts",
    edits: [
      [
        "if (this.#closeReason === undefined) this.#account.give(bytes);",
        "this.#account.give(bytes);",
      ],
    ],
  },
  {
    name: "more may be released than is held",
    file: "account.ts",
    edits: [["    if (bytes > held) throw new OverReleaseError(this.id, bytes, held);\n", ""]],
  },
  {
    name: "memory is taken before the limit is looked at",
    file: "streaming-session.ts",
    edits: [
      [
        "    let refusal = this.#account.refusal(bytes);\n",
        "    let refusal = this.#account.refusal(bytes);\n    this.#account.take(bytes);\n",
      ],
      ["    this.#account.take(bytes);\n    // What", "    // What"],
    ],
  },
  {
    name: "the limit is one byte too far",
    file: "ledger.ts",
    edits: [
      [
        "return bytes <= this.limitBytes - this.#usedBytes;",
        "return bytes <= this.limitBytes - this.#usedBytes + 1;",
      ],
    ],
  },
  {
    name: "the limit is one byte too near",
    file: "ledger.ts",
    edits: [["return bytes <= this.limitBytes", "return bytes < this.limitBytes"]],
  },
  {
    name: "closing gives nothing back",
    file: "streaming-session.ts",
    edits: [["    this.#account.give(this.#account.usedBytes);\n", ""]],
  },
  {
    name: "a reservation that waited is not charged",
    file: "reserve-queue.ts",
    edits: [["    account.take(waiter.value.bytes);\n", ""]],
  },
  {
    name: "whoever gave up still gets its bytes",
    file: "reserve-queue.ts",
    edits: [
      [
        "    this.#leave(account, node);\n    node.value.reject(reason);\n    this.serve",
        "    node.value.reject(reason);\n    this.serve",
      ],
    ],
  },
  {
    name: "nobody is served when bytes come back",
    file: "account.ts",
    edits: [["    if (queue.size > 0) queue.serve(this);\n", ""]],
  },
  {
    name: "a principal that waited for its own room is forgotten",
    file: "reserve-queue.ts",
    edits: [["    this.#turns.unpark(account.turnKey);\n", ""]],
  },
  {
    name: "a session's own reservation leaves those behind it waiting",
    kind: "plain",
    worlds: 60,
    file: "streaming-session.ts",
    edits: [["    if (queue.size > 0) queue.serve(this.#account);\n", ""]],
  },
  {
    name: "a wait leaves its timer behind",
    file: "reserve-queue.ts",
    edits: [["      cancelTimeout();\n", ""]],
  },
  {
    name: "newcomers are served whatever is in use",
    file: "account.ts",
    edits: [["this.#bank.scarcity.on && bytes > 0 && this.#isNewcomer", "bytes < 0"]],
  },
  {
    name: "a batch that is returned stays charged",
    kind: "streams",
    file: "pipe.ts",
    edits: [
      ["    this.#release();\n    this.#pending = undefined;", "    this.#pending = undefined;"],
    ],
  },
  {
    name: "a chunk that was handed on stays charged",
    kind: "streams",
    file: "sink.ts",
    edits: [["      this.#session.release(free());\n", ""]],
  },
  {
    name: "a charged buffer waits for its turn and is given back meanwhile",
    kind: "streams with budgets",
    file: "sink.ts",
    edits: [["if (cost === 0) this.#session.tryReserve(0);\n    else if", "if"]],
  },
];
