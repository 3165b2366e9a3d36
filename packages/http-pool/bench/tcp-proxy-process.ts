// A TCP proxy that is far away: what it forwards arrives later, and its connections take a round trip to open.
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { answer } from "./child.ts";

const { port, oneWayMs } = JSON.parse(process.argv[2] ?? "{}") as {
  port: number;
  oneWayMs: number;
};

const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ port, host: "127.0.0.1", noDelay: true });
  // The kernel of this machine accepts at once. Far away SYN and SYN-ACK would take a round trip.
  forward(near, far, performance.now() + 2 * oneWayMs);
  forward(far, near, 0);
});

server.listen(0, "127.0.0.1", () => {
  answer((server.address() as AddressInfo).port, () => undefined);
});

function forward(from: Socket, to: Socket, openAt: number): void {
  const later = (deliver: () => void): void => {
    // Timers leave out fractions of a millisecond.
    const delayMs = Math.max(0, openAt - performance.now()) + oneWayMs;
    setTimeout(deliver, Math.ceil(delayMs));
  };
  from.on("data", (chunk) => later(() => to.write(chunk)));
  from.on("end", () => later(() => to.end()));
  from.on("error", () => to.destroy());
}
