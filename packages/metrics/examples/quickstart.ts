import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { EventEmitter } from "eventemitter3";
import { Metrics } from "@mcp-accel/metrics";
import type { MetricFamily } from "@mcp-accel/metrics";

class Mailbox extends EventEmitter<{ delivered: [event: { waitMs: number }] }> {
  #delivered = 0;

  deliver(waitMs: number): void {
    this.#delivered += 1;
    this.emit("delivered", { waitMs });
  }

  metricFamilies(): readonly MetricFamily[] {
    return [
      {
        type: "counter",
        name: "mailbox_delivered_total",
        help: "Messages delivered",
        unit: "",
        labels: [],
        read: () => [{ value: this.#delivered }],
      },
      {
        type: "histogram",
        name: "mailbox_wait_seconds",
        help: "Time a message waited",
        unit: "seconds",
        labels: [],
        event: "delivered",
        buckets: [0.01, 0.1, 1],
        value: ({ waitMs }: { waitMs: number }) => waitMs / 1000,
      },
    ];
  }
}

const metrics = new Metrics({ labels: { service: "post" } });
const mailbox = new Mailbox();
metrics.collect(mailbox, { labels: { mailbox: "inbox" } });
mailbox.deliver(25);

metrics.operations.know(["send_letter"]);
metrics.operations.setTier("send_letter", "fast");
const stopwatch = metrics.operations.start();
stopwatch.record({ method: "tools/call", tool: "send_letter", transport: "http" });

const server = createServer(metrics.handler()).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

assert.match(text, /^mailbox_delivered_total\{service="post",mailbox="inbox"\} 1$/m);
assert.match(text, /^mailbox_wait_seconds_bucket\{le="0.1",service="post",mailbox="inbox"\} 1$/m);
assert.match(text, /gen_ai_tool_name="send_letter"/);
assert.match(text, /^nodejs_heap_size_used_bytes\{service="post"\} \d+$/m);
console.log(
  text
    .split("\n")
    .filter((line) => line.startsWith("mailbox_"))
    .join("\n"),
);

metrics.close();
server.close();
