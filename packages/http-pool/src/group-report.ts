import type {
  CircuitEvent,
  EjectEvent,
  GroupEvents,
  HedgeEvent,
  PanicEvent,
  ReadmitEvent,
  RetryEvent,
} from "./group-events.ts";

/** What a group counts while it works. */
export class GroupCounters {
  /** Requests of callers. */
  calls = 0;
  retries = 0;
  hedges = 0;
  /** Of those, the ones that were answered first. */
  hedgesWon = 0;
  ejections = 0;
  readmissions = 0;
  circuitOpens = 0;
  panics = 0;
  /** Retries and hedges that the budget did not allow. */
  overBudget = 0;
  /** Ended at once, since no upstream could be asked. */
  unroutable = 0;
}

type Send = <K extends keyof GroupEvents>(event: K, value: GroupEvents[K]) => void;

/** Counts what happens in a group, and tells those who listen. */
export class GroupReport {
  readonly counters: GroupCounters = new GroupCounters();
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  ejected(event: EjectEvent): void {
    this.counters.ejections += 1;
    this.#send("eject", event);
  }

  readmitted(event: ReadmitEvent): void {
    this.counters.readmissions += 1;
    this.#send("readmit", event);
  }

  circuit(event: CircuitEvent): void {
    if (event.to === "open") this.counters.circuitOpens += 1;
    this.#send("circuit", event);
  }

  panic(event: PanicEvent): void {
    if (event.active) this.counters.panics += 1;
    this.#send("panic", event);
  }

  retry(event: RetryEvent): void {
    this.counters.retries += 1;
    this.#send("retry", event);
  }

  hedge(event: HedgeEvent): void {
    this.counters.hedges += 1;
    this.#send("hedge", event);
  }
}
