import type {
  CircuitEvent,
  EjectEvent,
  GroupEvents,
  HealthEvent,
  HedgeEvent,
  PanicEvent,
  ReadmitEvent,
  RetryEvent,
} from "./group-events.ts";

/** What a group counts while it works. */
export interface GroupCounters {
  /** Requests of callers. */
  calls: number;
  retries: number;
  hedges: number;
  /** Of those, the ones that were answered first. */
  hedgesWon: number;
  ejections: number;
  readmissions: number;
  circuitOpens: number;
  panics: number;
  /** Retries and hedges that the budget did not allow. */
  overBudget: number;
  /** Ended at once, since no upstream could be asked. */
  unroutable: number;
}

type Send = <K extends keyof GroupEvents>(event: K, value: GroupEvents[K]) => void;

/** Counts what happens in a group, and tells those who listen. */
export class GroupReport {
  readonly counters: GroupCounters = {
    calls: 0,
    retries: 0,
    hedges: 0,
    hedgesWon: 0,
    ejections: 0,
    readmissions: 0,
    circuitOpens: 0,
    panics: 0,
    overBudget: 0,
    unroutable: 0,
  };
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

  health(event: HealthEvent): void {
    this.#send("health", event);
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
