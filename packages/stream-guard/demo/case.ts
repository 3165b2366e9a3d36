import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { percentiles } from "./percentiles.ts";
import type { Percentiles } from "./percentiles.ts";

export interface Case {
  readonly sdk: "v1" | "v2";
  readonly transport: "http" | "stdio";
  readonly guarded: boolean;
}

/** What the process that serves the client saw, in bytes and milliseconds. */
export interface Flood {
  readonly baseline: Memory;
  readonly peak: Memory;
  /** After a collection, once every send had been made or those left stood still. */
  readonly held: Memory;
  /** Highest charge of the session; absent without a guard. */
  readonly chargePeakBytes?: number;
  /** Most that the process held of what it had sent: what no system call had taken yet. */
  readonly bufferedPeakBytes: number;
  /** How the sends ended: `sent`, `unsettled`, or the code of the error. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** How late the process's own event loop was. */
  readonly loop: Percentiles;
}

export interface Memory {
  readonly residentBytes: number;
  readonly externalBytes: number;
  readonly heapBytes: number;
}

export interface CaseResult extends Case, Flood {
  /** Answers to other clients of the same process meanwhile; absent on stdio, which has one client. */
  readonly others?: Percentiles & { readonly answered: number; readonly failed: number };
}

export const LIMIT_BYTES = 1 << 20;
export const NOTIFICATIONS = 4000;
export const NOTIFICATION_BYTES = 64 * 1024;

const OTHER_CLIENTS = 4;
const WARM_UP_CALLS = 200;
/** Between two calls of one client: the other clients are there to be kept waiting, not to load the server. */
const PAUSE_MS = 5;
const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "demo", version: "1" },
  },
};

/** Runs one server in a process of its own and floods a client of it that does not read. */
export async function runCase(which: Case): Promise<CaseResult> {
  const child = start(which);
  try {
    const { port } = await message<{ readonly port: number }>(child, "ready");
    return port === 0 ? await floodStdio(which, child) : await floodHttp(which, child, port);
  } finally {
    child.kill("SIGKILL");
  }
}

async function floodHttp(which: Case, child: ChildProcess, port: number): Promise<CaseResult> {
  const url = `http://127.0.0.1:${port}/mcp`;
  const stuck = await initialize(url);
  const others = await Promise.all(Array.from({ length: OTHER_CLIENTS }, () => initialize(url)));
  for (let call = 0; call < WARM_UP_CALLS; call += 1)
    await callTool(url, others[call % OTHER_CLIENTS] ?? "", call);
  const silent = connect(port, "127.0.0.1").pause();
  silent.on("error", () => {});
  silent.write(
    `GET /mcp HTTP/1.1\r\nhost: demo\r\naccept: text/event-stream\r\nmcp-session-id: ${stuck}\r\n\r\n`,
  );
  await message(child, "listening");
  const latenciesMs: number[] = [];
  let failed = 0;
  const over = new AbortController();
  const calls = others.map(async (session) => {
    for (let id = 1; !over.signal.aborted; id += 1) {
      const startedAt = performance.now();
      const answered = await callTool(url, session, id).catch(() => false);
      if (answered) latenciesMs.push(performance.now() - startedAt);
      else failed += 1;
      await sleep(PAUSE_MS);
    }
  });
  const flood = await runFlood(child);
  over.abort();
  await Promise.all(calls);
  silent.destroy();
  const answered = latenciesMs.length;
  return { ...which, ...flood, others: { ...percentiles(latenciesMs), answered, failed } };
}

async function floodStdio(which: Case, child: ChildProcess): Promise<CaseResult> {
  child.stdin?.write(`${JSON.stringify(INITIALIZE)}\n`);
  if (child.stdout === null) throw new Error("the server's output is not a pipe");
  await once(child.stdout, "data");
  child.stdout.pause();
  return { ...which, ...(await runFlood(child)) };
}

async function runFlood(child: ChildProcess): Promise<Flood> {
  const done = message<Flood>(child, "flooded");
  child.send({ type: "flood" });
  return done;
}

function start({ sdk, transport, guarded }: Case): ChildProcess {
  const script = join(import.meta.dirname, "server-process.ts");
  const node = ["--conditions=@mcp-accel/source", "--expose-gc", "--no-warnings"];
  const args = [...node, script, sdk, transport, guarded ? "guarded" : "unguarded"];
  return spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit", "ipc"] });
}

/** The next message of that type; an error if the process ends first. */
async function message<T>(child: ChildProcess, type: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`the server ended with ${code} before it said "${type}"`));
    };
    const onMessage = (received: { readonly type: string }): void => {
      if (received.type !== type) return;
      child.off("message", onMessage).off("exit", onExit);
      resolve(received as T);
    };
    child.on("message", onMessage).once("exit", onExit);
  });
}

async function initialize(url: string): Promise<string> {
  const body = JSON.stringify(INITIALIZE);
  const response = await fetch(url, { method: "POST", headers: HEADERS, body });
  await response.text();
  return response.headers.get("mcp-session-id") ?? "";
}

async function callTool(url: string, session: string, id: number): Promise<boolean> {
  const params = { name: "small", arguments: {} };
  const response = await fetch(url, {
    method: "POST",
    headers: { ...HEADERS, "mcp-session-id": session },
    body: JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }),
    signal: AbortSignal.timeout(10_000),
  });
  return (await response.text()).includes("fine");
}
