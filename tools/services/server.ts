// A server for one suite: on a free port of the loopback, in a folder of its own, gone at the end.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
}

export interface ServerOptions {
  readonly name: string;
  command(port: number, folder: string): ServerCommand;
  /** Asked until it is true, for at most ten seconds. */
  isReady(port: number): Promise<boolean>;
}

const startupMs = 10_000;
const stopMs = 3_000;
const attempts = 3;

export class TestServer {
  readonly port: number;
  readonly folder: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #output = "";
  readonly #killAtExit = (): void => void this.#child?.kill("SIGKILL");

  static async start(options: ServerOptions): Promise<TestServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new TestServer(options, await freePort());
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.stop();
        // Somebody else may have taken the port meanwhile.
        if (attempt === attempts) throw error;
      }
    }
  }

  private constructor(options: ServerOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), `${options.name}-`));
    process.once("exit", this.#killAtExit);
  }

  /** Starts it on its port and in its folder, as after `kill()`. */
  async start(): Promise<void> {
    const { program, args } = this.#options.command(this.port, this.folder);
    const child = spawn(program, args, {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-4_000);
      });
    let failure: Error | undefined;
    child.once("error", (error) => {
      failure = error;
    });
    const deadline = performance.now() + startupMs;
    while (!(await this.#options.isReady(this.port))) {
      if (failure !== undefined || child.exitCode !== null || performance.now() > deadline)
        throw new Error(`${this.#options.name} did not start:\n${this.#output}`, {
          cause: failure,
        });
      await delay(20);
    }
  }

  /** As when the machine loses power. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stands still, or goes on; its connections stay open. */
  pause(on: boolean): void {
    this.#child?.kill(on ? "SIGSTOP" : "SIGCONT");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    process.off("exit", this.#killAtExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(timer);
  }
}

/** Sends `request` and resolves with the first chunk that comes back; `undefined` when nothing does. */
export async function ask(port: number, request: string): Promise<string | undefined> {
  const socket = connect(port, "127.0.0.1");
  socket.setTimeout(1_000, () => socket.destroy());
  try {
    await once(socket, "connect");
    socket.write(request);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    return chunk.toString();
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
