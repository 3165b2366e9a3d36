import { MemoryLimitError, StreamGuard, StreamGuardError } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime } from "../fake-time.ts";
import { Books } from "./books.ts";
import { Random } from "./random.ts";
import type { Settings } from "./settings.ts";
import { Destination, Piped, randomSource } from "./streams.ts";
import { Waits } from "./waits.ts";

const NOT_BYTES: readonly unknown[] = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1"];

/** A session and what the world does with it. */
interface Slot {
  readonly session: StreamingSession;
  readonly controller: AbortController;
  readonly operations: Disposable[];
  /** Reservations granted and not yet released. */
  readonly reserved: number[];
  readonly piped: Piped[];
  readonly destinations: Destination[];
}

/** A mistake of the guard, in the words of the naive model. */
export class Mistake extends Error {}

/** A guard, its users, and the naive books beside it. Every operation may be misuse; none may upset the books. */
export class World {
  readonly time = new FakeTime();
  readonly guard: StreamGuard;
  readonly #settings: Settings;
  readonly #random: Random;
  readonly #books: Books;
  readonly #waits: Waits;
  readonly #slots: Slot[] = [];
  readonly #actions: readonly (() => void)[];
  readonly #streams: Promise<unknown>[] = [];
  #refused: { readonly session: StreamingSession; readonly bytes: number } | undefined;
  /** Found where nothing can be thrown. */
  #mistake: Mistake | undefined;

  constructor(settings: Settings, seed: number) {
    this.#settings = settings;
    this.#random = new Random(seed);
    this.#books = new Books(settings);
    const { now, schedule } = this.time;
    this.guard = new StreamGuard({ ...settings.options, now, schedule });
    this.#waits = new Waits(this.#books, settings);
    this.#actions = this.#weighted();
  }

  /** @throws Mistake */
  async step(): Promise<void> {
    const action = this.#random.of(this.#actions);
    try {
      action();
    } catch (error) {
      this.#expected(error);
    }
    await (this.#settings.streams ? turn() : microtasks());
    const mistake =
      this.#books.mistakes(this.guard) ?? this.#judgeRefusal() ?? this.#waits.mistakes(this.guard);
    if (mistake !== undefined) throw new Mistake(mistake);
    if (this.#mistake !== undefined) throw this.#mistake;
  }

  /** Everything ends, and nothing is left. @throws Mistake */
  async end(): Promise<void> {
    await this.guard.close();
    for (const { destinations } of this.#slots)
      for (const destination of destinations) destination.destroy();
    await turn();
    await turn();
    const { usedBytes, sessions, waiting, pausedSources, principals } = this.guard.stats();
    const left = { usedBytes, sessions, waiting, pausedSources, principals };
    for (const [what, count] of Object.entries({ ...left, timers: this.time.pending }))
      if (count !== 0) throw new Mistake(`at the end ${what} is ${count}`);
    if (this.#waits.size > 0) throw new Mistake(`${this.#waits.size} reservations wait for ever`);
    await Promise.all(this.#streams);
  }

  #weighted(): readonly (() => void)[] {
    const weights: readonly (readonly [number, () => void])[] = [
      [4, () => this.#open()],
      [12, () => this.#use(({ session }) => this.#reserve(session, this.#bytes()))],
      [12, () => this.#use((slot) => this.#tryReserve(slot))],
      [10, () => this.#use(({ session }) => this.#wait(session))],
      [4, () => this.#waits.abort(this.#random)],
      [24, () => this.#use((slot) => this.#release(slot))],
      [2, () => this.#use(({ session }) => this.#releaseTooMuch(session))],
      [2, () => this.#use(({ session }) => this.#misuse(session))],
      [2, () => this.#use(({ session }) => void session.close())],
      [1, () => this.#use(({ controller }) => controller.abort())],
      [3, () => this.#use(({ operations, session }) => operations.push(session.begin()))],
      [5, () => this.#use(({ operations }) => operations.pop()?.[Symbol.dispose]())],
      [1, () => this.#use(({ session }) => session.touch())],
      [6, () => this.time.advance(this.#random.below(600))],
      [2, () => this.time.advance(this.#random.below(12_000))],
      [1, () => this.guard.sweep()],
      ...(this.#settings.streams ? this.#streaming() : []),
    ];
    return weights.flatMap(([weight, action]) => Array.from({ length: weight }, () => action));
  }

  #streaming(): readonly (readonly [number, () => void])[] {
    return [
      [3, () => this.#use((slot) => this.#pipe(slot))],
      [20, () => this.#use(({ piped }) => this.#random.of(piped)?.next(this.#report))],
      [2, () => this.#use(({ piped }) => this.#random.of(piped)?.return())],
      [3, () => this.#use((slot) => this.#writeTo(slot))],
      [20, () => this.#use(({ destinations }) => this.#random.of(destinations)?.accept())],
      [1, () => this.#use(({ destinations }) => void this.#random.of(destinations)?.destroy())],
    ];
  }

  #open(): void {
    const controller = new AbortController();
    const principal = this.#random.of(this.#settings.principals);
    const smaller = this.#random.chance(0.2)
      ? { maxMemoryBytes: 1 + this.#random.below(this.#settings.options.sessionMaxMemoryBytes) }
      : {};
    const { signal } = controller;
    const session = this.guard.open({ ...smaller, ...(principal && { principal }), signal });
    this.#books.open(session);
    const streams = { piped: [], destinations: [] };
    this.#slots.push({ session, controller, operations: [], reserved: [], ...streams });
    // The last closed ones stay, to be misused.
    const closed = this.#slots.findIndex((slot) => slot.session.closed);
    if (this.#slots.length > this.guard.stats().maxSessions + 2) this.#slots.splice(closed, 1);
  }

  #use(action: (slot: Slot) => unknown): void {
    if (this.#slots.length > 0) action(this.#random.of(this.#slots));
  }

  #bytes(): number {
    return this.#random.chance(0.05) ? 0 : this.#random.below(this.#settings.maxBytes);
  }

  #reserve(session: StreamingSession, bytes: number): void {
    try {
      session.reserve(bytes);
    } catch (error) {
      if (error instanceof MemoryLimitError) this.#refused = { session, bytes };
      throw error;
    }
    this.#granted(session, bytes);
  }

  #tryReserve({ session }: Slot): void {
    const bytes = this.#bytes();
    const inTurn = this.#random.chance(0.3);
    const granted = inTurn ? session.tryReserveInTurn(bytes) : session.tryReserve(bytes);
    if (granted) this.#granted(session, bytes);
    else if (!inTurn) this.#refused = { session, bytes };
  }

  #granted(session: StreamingSession, bytes: number): void {
    this.#judgeGrant(session, bytes);
    this.#books.add(session, bytes);
    this.#slotOf(session)?.reserved.push(bytes);
  }

  /** Called before the books know of it. */
  #judgeGrant(session: StreamingSession, bytes: number): void {
    const refusal = this.#books.refusal(session, bytes);
    if (refusal !== undefined)
      throw new Mistake(`${bytes} bytes were granted, beyond the limit of the ${refusal}`);
    const { share } = this.#books;
    if (share >= 0.95 && this.#isNewcomer(session, bytes))
      throw new Mistake(`a newcomer was granted ${bytes} bytes at ${share}`);
  }

  /** Called when the books know of the reservations that were let in on the way. */
  #judgeRefusal(): string | undefined {
    if (this.#refused === undefined) return undefined;
    const { session, bytes } = this.#refused;
    this.#refused = undefined;
    if (session.closed || this.#books.refusal(session, bytes) !== undefined) return undefined;
    if (this.#books.share >= 0.9 && this.#isNewcomer(session, bytes)) return undefined;
    return `${bytes} bytes were refused, but they fit`;
  }

  /** Holds nothing and does nothing: may be refused from 90 % on, and must be from 95 % on. */
  #isNewcomer(session: StreamingSession, bytes: number): boolean {
    return bytes > 0 && this.#books.isNewcomer(session, this.#waits.of(session).length);
  }

  #wait(session: StreamingSession): void {
    const bytes = this.#bytes();
    const controller = new AbortController();
    const { signal } = controller;
    const timeoutMs = 1 + this.#random.below(8000);
    const promise = session.reserveWhenAvailable(bytes, { signal, timeoutMs });
    this.#waits.add({ session, bytes, controller }, promise, this.#expected, () => {
      this.#slotOf(session)?.reserved.push(bytes);
    });
  }

  #release(slot: Slot): void {
    const { session, reserved } = slot;
    const bytes = reserved.splice(this.#random.below(reserved.length || 1), 1)[0];
    if (bytes === undefined) return;
    session.release(bytes);
    this.#books.add(session, -bytes);
  }

  #releaseTooMuch(session: StreamingSession): void {
    const { closed } = session;
    try {
      session.release(this.#books.of(session) + 1 + this.#random.below(10));
    } catch (error) {
      if (closed) throw new Mistake("a release after the close threw");
      throw error;
    }
    if (!closed) throw new Mistake("more was released than was held");
  }

  #misuse(session: StreamingSession): void {
    const bytes = this.#random.of(NOT_BYTES) as number;
    const use = this.#random.of([
      () => session.reserve(bytes),
      () => session.tryReserve(bytes),
      () => session.release(bytes),
    ]);
    use();
    throw new Mistake(`${String(bytes)} was taken for a number of bytes`);
  }

  #pipe({ session, piped }: Slot): void {
    const source = randomSource(this.#random, this.#settings.maxBytes);
    piped.push(new Piped(session, this.#books, source));
    if (piped.length > 3) piped.shift()?.return();
  }

  #writeTo({ session, destinations }: Slot): void {
    const highWaterMark = this.#random.of([1, 100, 1000]);
    const destination = new Destination(session, this.#books, highWaterMark);
    const source = randomSource(this.#random, this.#settings.maxBytes);
    destination.on("error", () => {});
    destinations.push(destination);
    if (destinations.length > 3) destinations.shift()?.destroy();
    const drainTimeoutMs = 1 + this.#random.below(10_000);
    this.#streams.push(
      session.writeTo(destination, source, { drainTimeoutMs }).catch(this.#report),
    );
    if (this.#streams.length > 200) void Promise.all(this.#streams.splice(0, 100));
  }

  #slotOf(session: StreamingSession): Slot | undefined {
    return this.#slots.find((slot) => slot.session === session);
  }

  readonly #expected = (error: unknown): void => {
    const aborted = error instanceof DOMException && error.name === "AbortError";
    if (!(error instanceof StreamGuardError || aborted)) throw error;
  };

  readonly #report = (error: unknown): void => {
    if (error instanceof Error && error.message === "the source broke") return;
    try {
      this.#expected(error);
    } catch {
      this.#mistake ??= new Mistake(`a stream ended with ${String(error)}`);
    }
  };
}

/** Everything that is ready runs. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Enough of them for a granted reservation to be heard of. */
async function microtasks(): Promise<void> {
  for (let count = 0; count < 6; count += 1) await Promise.resolve();
}
