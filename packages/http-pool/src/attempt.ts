import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import { isEventStream } from "./event-stream.ts";
import { discard } from "./discard.ts";
import { failureKind } from "./failure-kind.ts";
import type { GroupContext } from "./group-context.ts";
import type { GroupExchange } from "./group-exchange.ts";
import { LinkedNode } from "./linked-list.ts";
import type { Replica } from "./replica.ts";
import type { ReplayAware } from "./replay.ts";

type Controller = Dispatcher.DispatchController;

/** An answer that nobody wants is read on for as much, since that is cheaper than a new connection. */
const DISCARD_BYTES = 64 * 1024;

const UNWANTED = new Error("the answer is not wanted");

/** One request on its way to one upstream of a group, on behalf of an exchange that may have several. */
export class Attempt implements ReplayAware {
  readonly replica: Replica;
  readonly startedAt: number;
  readonly #context: GroupContext;
  readonly #exchange: GroupExchange;
  readonly #watched: LinkedNode<Attempt> = new LinkedNode<Attempt>(this);
  readonly #onTrial: boolean;
  #controller: Controller | undefined;
  #pending = false;
  #trialEnded = false;
  #responded = false;
  /** It was told how it went. */
  #judged = false;
  #cancelled = false;
  #endless = false;
  #discarded: number | undefined;

  constructor(context: GroupContext, exchange: GroupExchange, replica: Replica) {
    this.#context = context;
    this.#exchange = exchange;
    this.replica = replica;
    this.startedAt = context.options.now();
    this.#onTrial = replica.circuit.begin();
    // A stream may be silent and open for as long as it likes: it says nothing of load or latency.
    if (exchange.lane !== "request") return;
    this.#pending = true;
    replica.pending += 1;
    replica.watch.add(this.#watched, !exchange.replayable);
  }

  get controller(): Controller | undefined {
    return this.#controller;
  }

  /** Its answer is not wanted any more; the pool closes its connection. */
  cancel(reason: Error): void {
    this.#cancelled = true;
    this.#controller?.abort(reason);
  }

  /** The answer that begins is not wanted, but its connection is, unless it would never be free. */
  discard(): void {
    this.#discarded = 0;
    if (this.#endless) this.cancel(UNWANTED);
    else if (this.#controller !== undefined) discard(this.#controller, UNWANTED);
  }

  /** Its upstream has been silent for too long. */
  suspect(): void {
    this.#endTrial();
    this.#penalise();
    this.#exchange.suspected(this);
  }

  mayReplay(): boolean {
    return this.#exchange.mayReplay();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
  }

  onRequestUpgrade(
    _controller: Controller,
    statusCode: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.#leave();
    this.#context.health.answered(this.replica);
    this.#context.health.succeeded(this.replica);
    this.#exchange.upgraded(this, statusCode, headers, socket);
  }

  onResponseStart(
    _controller: Controller,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    if (statusCode < 200) {
      this.#exchange.informed(this, statusCode, headers, statusMessage);
      return;
    }
    this.#responded = true;
    this.replica.watch.remove(this.#watched, !this.#exchange.replayable);
    this.replica.watch.heard();
    this.#judge(statusCode);
    this.#endless = isEventStream(headers);
    if (this.#endless) this.#leave();
    this.#exchange.answered(this, statusCode, headers, statusMessage);
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    if (this.#discarded === undefined) this.#exchange.data(chunk);
    else {
      this.#discarded += chunk.byteLength;
      if (this.#discarded > DISCARD_BYTES) this.cancel(UNWANTED);
    }
  }

  onResponseEnd(_controller: Controller, trailers: IncomingHttpHeaders): void {
    this.#leave();
    if (!this.#judged) this.#context.health.succeeded(this.replica);
    this.#judged = true;
    if (this.#discarded === undefined) this.#exchange.ended(trailers);
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    this.#leave();
    const kind = this.#cancelled ? undefined : failureKind(error);
    if (kind !== undefined && !this.#judged) {
      this.#judged = true;
      if (!this.#responded) this.#penalise();
      this.#context.health.failed(this.replica, kind);
    } else if (!this.#responded) this.#outlast();
    if (this.#discarded === undefined) this.#exchange.failed(this, error, kind);
  }

  onBodySent(chunk: Buffer): void {
    this.#exchange.bodySent(this, chunk);
  }

  onRequestSent(): void {
    this.#exchange.requestSent(this);
  }

  #judge(statusCode: number): void {
    const { health, latencies, options } = this.#context;
    if (statusCode >= 500) {
      this.#judged = true;
      this.#penalise();
      this.#endTrial();
      health.failed(this.replica, "status");
      return;
    }
    if (this.#exchange.lane === "request") {
      const now = options.now();
      this.replica.cost.observe(now - this.startedAt, now);
      if (this.#exchange.replayable) latencies.add(now - this.startedAt, now);
    }
    this.#endTrial();
    health.answered(this.replica);
  }

  /** An upstream that fails fast must not look fast. */
  #penalise(): void {
    const now = this.#context.options.now();
    const { cost } = this.replica;
    cost.observe(this.#context.penaltyMs(now - this.startedAt, cost.value(now)), now);
  }

  /** It was given up before an answer came, which says that the answer takes at least as long. */
  #outlast(): void {
    if (this.#exchange.lane !== "request") return;
    const now = this.#context.options.now();
    const elapsedMs = now - this.startedAt;
    if (this.#cancelled && elapsedMs > this.replica.cost.value(now))
      this.replica.cost.observe(elapsedMs, now);
  }

  #leave(): void {
    this.replica.watch.remove(this.#watched, !this.#exchange.replayable);
    this.#endTrial();
    if (this.#pending) this.replica.pending -= 1;
    this.#pending = false;
  }

  #endTrial(): void {
    if (this.#onTrial && !this.#trialEnded) this.replica.circuit.endTrial();
    this.#trialEnded = true;
  }
}
