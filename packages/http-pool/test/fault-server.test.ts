import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { request } from "node:http";
import type { Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { FaultServer } from "../bench/fault-server.ts";

/** What it does once the server is at that point. */
function at(channel: string, act: (socket: Socket) => void): Disposable {
  const listener = (message: unknown): void => act((message as { readonly socket: Socket }).socket);
  subscribe(channel, listener);
  return { [Symbol.dispose]: () => void unsubscribe(channel, listener) };
}

test("the fault server counts a connection as closed that it cuts while it ends", async () => {
  const server = await new FaultServer().start();
  const states: { readonly ended: boolean; readonly finished: boolean }[] = [];
  using _ = at("http.server.response.finish", (socket) => {
    const cut = (): void => {
      states.push({ ended: socket.writableEnded, finished: socket.writableFinished });
      server.cut();
    };
    // The end is asked for by then, and the system has not confirmed it yet.
    process.nextTick(() => process.nextTick(cut));
  });
  const client = request(`${server.origin}/close`, { method: "HEAD" });
  const over = new Promise((resolve) => client.on("close", resolve));
  client.on("error", () => undefined).end();
  await over;
  expect(states).toEqual([{ ended: true, finished: false }]);
  await vi.waitFor(() => expect(server.lastRequests()).toEqual([]));
  await server.stop();
});

test("the fault server names what a connection that stays open was last asked for", async () => {
  const server = await new FaultServer().start();
  const client = request(`${server.origin}/hang?ms=1`).on("error", () => undefined);
  client.end();
  const asked = expect.stringContaining("GET /hang?ms=1 ");
  await vi.waitFor(() => expect(server.lastRequests()).toEqual([asked]));
  const emptied = server.emptied();
  client.destroy();
  await emptied;
  expect(server.lastRequests()).toEqual([]);
  await server.stop();
});
