import type { IncomingMessage, ServerResponse } from "node:http";
import type { ActionAnswer, ActionView } from "./dashboard-protocol.ts";
import { answerJson } from "./endpoint-answer.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";
import { safely } from "./safe-emit.ts";

/** Something an operator may do from the dashboard. */
export interface DashboardAction {
  /** Part of the URL and a label value: lower case letters, digits and hyphens. */
  readonly name: string;
  readonly label: string;
  readonly description?: string;
  /** A question to answer before it runs. */
  readonly confirm?: string;
  readonly input?: {
    readonly label: string;
    /** Default text. */
    readonly type?: "text" | "number";
    /** The only inputs there are. */
    readonly choices?: readonly string[];
    /** Default 200 characters. */
    readonly maxLength?: number;
  };
  /** What it returns, or the message of what it throws, is shown. `signal` aborts when nobody waits any longer. */
  run(input: string, signal: AbortSignal): unknown;
}

export type ActionOutcome = "done" | "failed" | "timeout";

/** One line of the log of what operators did. */
export interface ActionRecord {
  readonly action: string;
  readonly input: string;
  readonly outcome: ActionOutcome;
  readonly message: string;
  readonly durationMs: number;
  readonly from: string;
}

export interface ActionsOptions {
  readonly actions: readonly DashboardAction[];
  readonly log: ((record: ActionRecord) => void) | undefined;
  readonly perMinute: number;
  readonly timeoutMs: number;
  readonly now: () => number;
}

const MAX_BODY_BYTES = 4_096;
const MAX_MESSAGE = 200;
const BODY_TIMEOUT_MS = 5_000;
const NAME = /^[a-z][a-z0-9-]{0,63}$/;

/** Runs actions, one of each at a time and a bounded number per minute. */
export class Actions {
  readonly views: readonly ActionView[];
  readonly counts: Map<string, number> = new Map();
  readonly #options: ActionsOptions;
  readonly #byName: ReadonlyMap<string, DashboardAction>;
  readonly #running = new Set<string>();
  #allowance: number;
  #allowanceAtMs: number;

  constructor(options: ActionsOptions) {
    this.#options = options;
    this.#byName = new Map(options.actions.map((action) => [checked(action).name, action]));
    if (this.#byName.size < options.actions.length) {
      throw new InvalidOptionError("actions", "different names", "the same name twice");
    }
    this.views = options.actions.map(viewOf);
    this.#allowance = options.perMinute;
    this.#allowanceAtMs = options.now();
  }

  /** The request has been let in. */
  async handle(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, ok: boolean, message: string, headers = {}): void =>
      answerJson(request, response, status, { ok, message } satisfies ActionAnswer, headers);
    const action = this.#byName.get(name);
    if (action === undefined) return answer(404, false, "There is no such action");
    if (!/^application\/json(;|$)/i.test(request.headers["content-type"] ?? "")) {
      return answer(415, false, "Send application/json");
    }
    const body = await readBody(request);
    if (body === undefined) {
      return answer(413, false, `Send at most ${MAX_BODY_BYTES} bytes, at once`, {
        connection: "close",
      });
    }
    const input = inputOf(action, body);
    if (typeof input !== "string") return answer(400, false, input.problem);
    if (this.#running.has(name)) return answer(409, false, "This action is already running");
    if (!this.#admit())
      return answer(429, false, "Too many actions; wait a minute", { "retry-after": "60" });
    const from = request.socket.remoteAddress ?? "";
    const { outcome, message } = await this.#run(action, input, from);
    answer(
      outcome === "done" ? 200 : outcome === "timeout" ? 504 : 500,
      outcome === "done",
      message,
    );
  }

  async #run(action: DashboardAction, input: string, from: string) {
    const { now, timeoutMs, log } = this.#options;
    const startedMs = now();
    this.#running.add(action.name);
    const running = settle(action, input, timeoutMs, () => this.#running.delete(action.name));
    const { outcome, message } = await running;
    const key = `${action.name} ${outcome}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    const durationMs = Math.max(0, now() - startedMs);
    const record = { action: action.name, input, outcome, message, durationMs, from };
    if (log !== undefined) safely(() => log(record));
    return { outcome, message };
  }

  #admit(): boolean {
    const { now, perMinute } = this.#options;
    const atMs = now();
    const gained = (Math.max(0, atMs - this.#allowanceAtMs) * perMinute) / 60_000;
    this.#allowance = Math.min(perMinute, this.#allowance + gained);
    this.#allowanceAtMs = atMs;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }
}

interface Settled {
  readonly outcome: ActionOutcome;
  readonly message: string;
}

/** An action that ignores its signal goes on, and stays the only one of its name, but nobody waits for it. */
async function settle(
  action: DashboardAction,
  input: string,
  timeoutMs: number,
  ended: () => void,
): Promise<Settled> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Settled>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve({
        outcome: "timeout",
        message: `Not done after ${timeoutMs} ms; it may still be running`,
      });
    }, timeoutMs).unref();
  });
  const started = async (): Promise<unknown> => await action.run(input, controller.signal);
  const run = started()
    .then(
      (result): Settled => ({ outcome: "done", message: oneLine(result ?? "Done") }),
      (error: unknown): Settled => ({ outcome: "failed", message: oneLine(reasonOf(error)) }),
    )
    .finally(ended);
  try {
    return await Promise.race([run, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : "The action failed";
}

/** Never a stack: those begin on the second line. */
function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return (text.split("\n", 1)[0] ?? "").slice(0, MAX_MESSAGE);
}

/** The body, or `undefined` when it is too large, too slow or cut off. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (body: string | undefined): void => {
      clearTimeout(timer);
      request.removeAllListeners("data");
      if (body === undefined) request.resume();
      resolve(body);
    };
    const timer = setTimeout(() => end(undefined), BODY_TIMEOUT_MS).unref();
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) end(undefined);
      else chunks.push(chunk);
    });
    request.once("end", () => end(Buffer.concat(chunks).toString()));
    request.once("error", () => end(undefined));
    request.once("close", () => end(undefined));
  });
}

function inputOf(action: DashboardAction, body: string): string | { problem: string } {
  const parsed = parse(body === "" ? "{}" : body);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return { problem: "Send a JSON object" };
  }
  const { input: given = "" } = parsed as { readonly input?: unknown };
  if (typeof given !== "string") return { problem: "input must be a string" };
  const { input } = action;
  if (input === undefined) return given === "" ? "" : { problem: "This action takes no input" };
  const { choices = [], maxLength = 200, type = "text" } = input;
  if (given.trim() === "") return { problem: `${input.label} is missing` };
  if (given.length > maxLength)
    return { problem: `${input.label}: at most ${maxLength} characters` };
  if (type === "number" && !Number.isFinite(Number(given)))
    return { problem: `${input.label}: not a number` };
  if (choices.length > 0 && !choices.includes(given))
    return { problem: `${input.label}: not a choice` };
  return given;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function checked(action: DashboardAction): DashboardAction {
  requireObject("actions", action);
  const { name, label } = action;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new InvalidOptionError("actions.name", "lower case letters, digits and hyphens", name);
  }
  if (typeof label !== "string" || label === "") {
    throw new InvalidOptionError(`actions.${name}.label`, "a text", label);
  }
  if (typeof action.run !== "function") {
    throw new InvalidOptionError(`actions.${name}.run`, "a function", typeof action.run);
  }
  return action;
}

function viewOf({
  name,
  label,
  description = "",
  confirm = "",
  input,
}: DashboardAction): ActionView {
  if (input === undefined) return { name, label, description, confirm };
  const { type = "text", choices = [], maxLength = 200 } = input;
  return {
    name,
    label,
    description,
    confirm,
    input: { label: input.label, type, choices, maxLength },
  };
}
