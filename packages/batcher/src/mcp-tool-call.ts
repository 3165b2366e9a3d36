import { BatcherError } from "./errors.ts";
import type { CallSlots } from "./mcp-call-slots.ts";
import { failure } from "./mcp-calls.ts";
import type { Call, CallOutcome } from "./mcp-calls.ts";
import type { ToolResult } from "./mcp-types.ts";
import type { Timers } from "./timers.ts";
import { textOf } from "./warn.ts";

export interface CallContext {
  /** Aborts with the request, or when the call takes longer than `callTimeoutMs`. */
  readonly signal: AbortSignal;
  /** The position of the call in the request. */
  readonly index: number;
}

export type CallTool = (name: string, args: unknown, context: CallContext) => Promise<ToolResult>;
export type Allow = (name: string) => boolean | Promise<boolean>;

export interface ToolCallInit {
  readonly callTool: CallTool;
  readonly allow: Allow;
  readonly callTimeoutMs: number;
  readonly slots: CallSlots;
  readonly timers: Timers;
  /** What is left of the response, in bytes; called with what a result takes. False: it does not fit. */
  takeBytes(bytes: number): boolean;
}

/** A tool that goes on after its time-out holds its slot for so many times `callTimeoutMs`, and no longer: it may never end. */
export const abandonedAfter = 10;

/** One call of a tool: has an outcome within the time-out, waiting for a slot included, and never throws. */
export class ToolCall {
  readonly #init: ToolCallInit;
  readonly #call: Call;
  readonly #index: number;
  readonly #signal: AbortSignal;
  readonly #abort = new AbortController();
  #resolve: (outcome: CallOutcome) => void = () => undefined;
  #leaveLine: () => void = () => undefined;
  #timer: unknown = undefined;
  #holdTimer: unknown = undefined;
  #holds = false;
  #over = false;

  constructor(init: ToolCallInit, call: Call, index: number, signal: AbortSignal) {
    this.#init = init;
    this.#call = call;
    this.#index = index;
    this.#signal = signal;
  }

  run(): Promise<CallOutcome> {
    const { callTimeoutMs, slots, timers } = this.#init;
    if (this.#signal.aborted)
      return Promise.resolve(
        failure("BATCHER_CALL_CANCELLED", "the request was cancelled before this call began"),
      );
    if (slots.crowded)
      return Promise.resolve(
        failure("BATCHER_CALL_OVERLOAD", "too many calls wait for a slot; retry later"),
      );
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#timer = timers.set(this.#onTimeout, callTimeoutMs, false);
      this.#signal.addEventListener("abort", this, { once: true });
      this.#leaveLine = slots.request(() => {
        this.#holds = true;
        void this.#answer();
      });
    });
  }

  /** The request was cancelled. */
  handleEvent(): void {
    this.#end(
      failure("BATCHER_CALL_CANCELLED", "the request was cancelled before this call ended"),
    );
    this.#giveUp(this.#signal.reason);
  }

  readonly #onTimeout = (): void => {
    const { callTimeoutMs } = this.#init;
    const message = this.#holds
      ? `"${this.#call.name}" did not answer within ${callTimeoutMs} ms`
      : `"${this.#call.name}" was not called: no slot was free within ${callTimeoutMs} ms`;
    this.#end(failure("BATCHER_CALL_TIMEOUT", message));
    this.#giveUp(new BatcherError("BATCHER_CALL_TIMEOUT", message));
  };

  async #answer(): Promise<void> {
    const outcome = await this.#outcome();
    this.#end(outcome);
    this.#freeSlot();
  }

  async #outcome(): Promise<CallOutcome> {
    const { name, arguments: args } = this.#call;
    try {
      if (!(await this.#isAllowed()))
        return failure("BATCHER_CALL_REFUSED", `"${name}" may not be called from batch_call`);
      const { signal } = this.#abort;
      signal.throwIfAborted();
      const result: unknown = await this.#init.callTool(name, args, { signal, index: this.#index });
      return this.#over ? failure("BATCHER_CALL_TIMEOUT", "") : this.#outcomeOf(result);
    } catch (error) {
      return failure("BATCHER_CALL_FAILED", textOf(error));
    }
  }

  /** Only `true` is a yes; a filter that throws allows nothing. */
  async #isAllowed(): Promise<boolean> {
    try {
      const answer: unknown = await this.#init.allow(this.#call.name);
      return answer === true;
    } catch {
      return false;
    }
  }

  /** One result that cannot be sent must not keep the others from being sent. */
  #outcomeOf(result: unknown): CallOutcome {
    const { name } = this.#call;
    const text = JSON.stringify(result);
    if (typeof result !== "object" || result === null || Array.isArray(result))
      return failure("BATCHER_CALL_FAILED", `"${name}" gave no tool result`);
    if (text === undefined)
      return failure("BATCHER_CALL_FAILED", `"${name}" gave a result that JSON cannot hold`);
    if (!this.#init.takeBytes(Buffer.byteLength(text)))
      return failure(
        "BATCHER_CALL_TOO_LARGE",
        `"${name}" was called, but its result does not fit into the response; call it alone, or fewer at once`,
      );
    return { ok: (result as ToolResult).isError !== true, result: JSON.parse(text) as ToolResult };
  }

  #end(outcome: CallOutcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.timers.clear(this.#timer);
    this.#signal.removeEventListener("abort", this);
    this.#leaveLine();
    this.#resolve(outcome);
  }

  #giveUp(reason: unknown): void {
    const { callTimeoutMs, timers } = this.#init;
    if (this.#holds) {
      const delayMs = Math.min(callTimeoutMs * abandonedAfter, 2_147_483_647);
      this.#holdTimer = timers.set(() => this.#freeSlot(), delayMs, false);
    }
    this.#abort.abort(reason);
  }

  #freeSlot(): void {
    if (!this.#holds) return;
    this.#holds = false;
    this.#init.timers.clear(this.#holdTimer);
    this.#init.slots.release();
  }
}
