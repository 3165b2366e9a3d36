import { expect, test } from "vitest";
import { ConnectionPool, PoolAgent, UpstreamGroup } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

async function servers(count: number): Promise<TestServer[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      new TestServer((request, response) => {
        const { "x-sid": session } = request.headers;
        response.setHeader("X-Sid", typeof session === "string" ? session : `${index}-1`);
        response.end(String(index));
      }).start(),
    ),
  );
}

test.each(["x-sid", "X-Sid"])("sessions are found by %s, in upper or lower case", async (name) => {
  const all = await servers(3);
  await using group = new UpstreamGroup(
    all.map(({ origin }) => origin),
    { balance: "round-robin" },
  );
  const init = { affinityHeader: name };
  const first = await group.fetch(group.origin, init);
  const session = first.headers.get("x-sid") ?? "";
  const mine = await first.text();
  const seen = new Set<string>();
  for (let count = 0; count < 9; count += 1)
    seen.add(await text(group.fetch(group.origin, { ...init, headers: { "X-Sid": session } })));
  expect([...seen]).toEqual([mine]);
  expect(group.stats().sessions).toBe(1);
  const wrong = group.fetch(group.origin, { affinityHeader: 5 as never });
  expect(await rejection(wrong)).toMatchObject({ argument: "affinityHeader" });
  await Promise.all(all.map((server) => server.stop()));
});

test("what the probes say of an upstream is an event", async () => {
  const time = new FakeTime();
  let status = 200;
  await using server = await new TestServer((_request, response) => {
    response.writeHead(status).end();
  }).start();
  await using group = new UpstreamGroup([server.origin, "http://127.0.0.1:9"], {
    probe: { path: "/", intervalMs: 100, jitter: 0, unhealthyThreshold: 2, healthyThreshold: 1 },
    now: time.now,
    schedule: time.schedule,
  });
  const events: object[] = [];
  group.on("health", (event) => {
    if (event.upstream === server.origin) events.push(event);
  });
  const probe = async (): Promise<void> => {
    const checked = times(group, "healthCheck", 2);
    time.advance(100);
    await checked;
    // What it says is weighed once the event is out.
    await new Promise((resolve) => setImmediate(resolve));
  };
  status = 500;
  await probe();
  expect(events).toEqual([]);
  await probe();
  expect(events).toEqual([{ upstream: server.origin, healthy: false, probes: 2 }]);
  expect(group.stats().upstreams[server.origin]?.state).toBe("unhealthy");
  status = 200;
  await probe();
  await probe();
  expect(events.slice(1)).toEqual([{ upstream: server.origin, healthy: true, probes: 1 }]);
});

test("minIdle connections are opened at once", async () => {
  await using server = await new TestServer().start();
  const time = new FakeTime();
  const options = { minIdle: 3, now: time.now, schedule: time.schedule };
  await using pool = new ConnectionPool(server.origin, options);
  await times(pool, "open", 3);
  expect(pool.stats()).toMatchObject({ open: 3, idle: 3 });
});

test("a group and an agent can be warmed up", async () => {
  const [first, second] = await servers(2);
  if (first === undefined || second === undefined) throw new Error("no server");
  await using group = new UpstreamGroup([first.origin, second.origin]);
  await group.warmUp(2);
  await Promise.all([first.accepted(2), second.accepted(2)]);
  expect([first.sockets, second.sockets]).toEqual([2, 2]);
  await using agent = new PoolAgent();
  await agent.warmUp(first.origin);
  expect(agent.stats()).toMatchObject({ idle: 1, origins: 1 });
  expect((await rejection(agent.warmUp("http://127.0.0.1:9"))).name).toBe(
    "UpstreamUnavailableError",
  );
  expect(await rejection(agent.warmUp("nothing"))).toMatchObject({ argument: "origin" });
  await Promise.all([first.stop(), second.stop()]);
});
