import { expect, test } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";
import type { TransportLike } from "@mcp-accel/stream-guard/mcp";
import { FakeTime } from "./fake-time.ts";

test("a request whose response cannot be encoded is in progress no longer", async () => {
  const { now, schedule } = new FakeTime();
  const guard = new StreamGuard({ now, schedule });
  const transport: TransportLike = { send: async () => {}, close: async () => {} };
  const guarded = guardTransport(transport, guard, { maxRequests: 1 });
  const heard: unknown[] = [];
  guarded.onmessage = ({ id }: { readonly id: number }): void => void heard.push(id);
  for (const id of [1, 2, 3]) {
    transport.onmessage?.({ jsonrpc: "2.0", id, method: "tools/call" } as never);
    expect(guard.sessions()[0]?.operations).toBe(1);
    const response = { jsonrpc: "2.0", id, result: { rows: 10n } };
    await expect(guarded.send(response as never)).rejects.toThrow(TypeError);
    expect(guard.sessions()[0]?.operations).toBe(0);
  }
  expect(heard).toEqual([1, 2, 3]);
});
