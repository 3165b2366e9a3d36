import { connect } from "node:net";
import { onTestFinished } from "vitest";
import { dashboard, listen } from "../src/dashboard.ts";
import type { Dashboard, DashboardOptions } from "../src/dashboard.ts";
import type { DashboardFrame, DashboardHistory } from "../src/dashboard-protocol.ts";
import { Metrics } from "../src/index.ts";
import { ask } from "./dashboard-requests.ts";
import { FakeServer } from "./dashboard-stand-in.ts";
import type { Load } from "./dashboard-stand-in.ts";

export const TOKEN = "correct-horse-battery";
export const CALM: Load = { calls: 40, failed: 0, seconds: 0.03 };
export const OVERLOAD: Load = { calls: 160, failed: 20, seconds: 0.9, overloaded: true };

export interface Scene {
  readonly metrics: Metrics;
  readonly server: FakeServer;
  readonly board: Dashboard;
  readonly port: number;
  readonly url: string;
  /** Lets seconds pass, each with this load and a frame at its end. */
  pass(seconds: number, load?: Load): Promise<void>;
  history(): Promise<DashboardHistory>;
  frame(): Promise<DashboardFrame>;
}

/** A dashboard of a server with all packages, whose seconds pass when the test says so. */
export async function openScene(options: DashboardOptions = {}): Promise<Scene> {
  let timeMs = 1_000_000;
  const metrics = new Metrics();
  const server = new FakeServer(metrics);
  const originMs = Date.now() - 900_000;
  const now = () => timeMs;
  const date = () => originMs + timeMs - 1_000_000;
  const board = dashboard(metrics, { now, date, ...options });
  const listener = await listen({ [options.basePath ?? "/"]: board.handler });
  onTestFinished(async () => {
    board.close();
    metrics.close();
    await listener.close();
  });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const base = (options.basePath ?? "").replace(/\/$/, "");
  const json = async (path: string): Promise<unknown> =>
    JSON.parse((await ask(listener.port, `${base}/api/${path}`, { headers })).body);
  await new Promise(setImmediate);
  return {
    metrics,
    server,
    board,
    port: listener.port,
    url: listener.url,
    pass: async (seconds, load = CALM) => {
      for (let second = 0; second < seconds; second += 1) {
        timeMs += 1_000;
        server.second(load);
        await board.sample();
      }
    },
    history: async () => (await json("history")) as DashboardHistory,
    frame: async () => (await json("snapshot")) as DashboardFrame,
  };
}

/** A live client that reads `wanted` events and then says what it got. */
export function readEvents(port: number, wanted: number): Promise<readonly string[]> {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  let text = "";
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += String(chunk);
      const events = text.split("\n").filter((line) => line.startsWith("data: "));
      if (events.length < wanted || !text.endsWith("\n")) return;
      socket.destroy();
      resolve(events.map((line) => line.slice(6)));
    });
  });
}
