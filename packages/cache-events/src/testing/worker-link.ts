import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { RaceError } from "./errors.ts";
import type { Command, Reply } from "./race-messages.ts";

const keptChars = 2_000;
/** Beside this file, as source or as built. */
const workerFile = `./race-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`;

/** A forked worker: one command at a time, each answered within a limit. */
export class WorkerLink {
  readonly #child: ChildProcess;
  readonly #number: number;
  readonly #exit: Promise<string>;
  #stderr = "";

  constructor(number: number, execArgv: readonly string[]) {
    this.#number = number;
    this.#child = fork(fileURLToPath(new URL(workerFile, import.meta.url)), [], {
      execArgv: [...execArgv],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-keptChars);
    });
    this.#exit = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(error.message));
      this.#child.once("close", (code, signal) => resolve(`exited with ${signal ?? code}`));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** @throws RaceError when the worker fails, ends, or does not answer within `limitMs`. */
  async ask(command: Command, limitMs: number): Promise<Reply> {
    const child = this.#child;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const fail = (reason: string): void =>
      reject(new RaceError(`worker ${this.#number}, told to ${command.do}: ${reason}`));
    const heard = (reply: Reply): void => {
      if (reply.did === "fail") fail(reply.error);
      else resolve(reply);
    };
    const timer = setTimeout(() => fail(`no answer within ${limitMs} ms`), limitMs);
    child.once("message", heard);
    void this.#exit.then((how) => fail(`${how}\n${this.#stderr}`));
    if (child.connected) child.send(command);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      child.off("message", heard);
    }
  }

  /** Ends the process, whatever it does. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.kill("SIGKILL");
    await this.#exit;
  }
}
