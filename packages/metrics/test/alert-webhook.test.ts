import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebhookSink } from "../src/alerts.ts";
import type { WebhookSinkOptions } from "../src/alerts.ts";
import { FakeTimers, alertEvent, ended, settle } from "./alert-support.ts";
import { WebhookReceiver } from "./webhook-receiver.ts";

interface Rig extends AsyncDisposable {
  readonly receiver: WebhookReceiver;
  readonly timers: FakeTimers;
  readonly sink: WebhookSink;
  readonly errors: { readonly code?: string; readonly status?: number; readonly message: string }[];
  /** Sends what waits, and waits until `count` requests came in all. */
  flush(count: number): Promise<void>;
}

async function rig(options: Partial<WebhookSinkOptions> = {}): Promise<Rig> {
  const receiver = await WebhookReceiver.start();
  const timers = new FakeTimers();
  const errors: Rig["errors"] = [];
  const sink = new WebhookSink({
    url: `${receiver.origin}/hook?token=secret`,
    allowedOrigins: [receiver.origin],
    schedule: timers.schedule,
    random: () => 1,
    onError: (error) => errors.push(error as Error),
    ...options,
  });
  return {
    receiver,
    timers,
    sink,
    errors,
    flush: async (count) => {
      await timers.advance(1000);
      await receiver.until(() => receiver.received.length >= count);
      await quiet();
      expect(receiver.received).toHaveLength(count);
    },
    [Symbol.asyncDispose]: async () => {
      sink.close();
      await receiver[Symbol.asyncDispose]();
    },
  };
}

/** Lets answers arrive that are under way. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settle();
  await new Promise((resolve) => setTimeout(resolve, 20));
}

const statuses = ({ receiver }: Rig): readonly string[] =>
  receiver.received.map(({ message }) =>
    message.alerts.map(({ status, fingerprint }) => `${fingerprint} ${status}`).join(),
  );

describe("webhook: what it posts", () => {
  test("it is Alertmanager's version 4", async () => {
    await using it = await rig({
      name: "team",
      externalUrl: "https://example.org/status",
      headers: { authorization: "Bearer x" },
    });
    it.sink.deliver(alertEvent());
    await it.flush(1);
    const [{ headers, message, path } = {} as never] = it.receiver.received;
    expect(path).toBe("/hook?token=secret");
    expect(headers).toMatchObject({
      "content-type": "application/json",
      authorization: "Bearer x",
    });
    expect(message).toEqual({
      version: "4",
      groupKey: '{}:{alertname="DiskFull"}',
      truncatedAlerts: 0,
      status: "firing",
      receiver: "team",
      groupLabels: { alertname: "DiskFull" },
      commonLabels: { alertname: "DiskFull", severity: "warning", disk: "a" },
      commonAnnotations: { summary: "a disk is full", description: "clean up" },
      externalURL: "https://example.org/status",
      alerts: [
        {
          status: "firing",
          labels: { alertname: "DiskFull", severity: "warning", disk: "a" },
          annotations: { summary: "a disk is full", description: "clean up" },
          startsAt: "2026-01-01T00:00:00.000Z",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "https://example.org/status",
          fingerprint: "f1",
        },
      ],
    });
  });

  test("alerts of a group share a message, which is resolved when all are", async () => {
    await using it = await rig();
    const other = alertEvent({
      fingerprint: "f2",
      labels: { alertname: "DiskFull", severity: "warning", disk: "b" },
    });
    it.sink.deliver(alertEvent());
    it.sink.deliver(other);
    it.sink.deliver(alertEvent({ fingerprint: "x", labels: { alertname: "Slow" } }));
    await it.flush(2);
    expect(it.receiver.received[0]?.message.commonLabels).toEqual({
      alertname: "DiskFull",
      severity: "warning",
    });
    it.sink.deliver(ended(alertEvent()));
    await it.flush(3);
    it.sink.deliver({ ...ended(other), reason: "no-data" });
    await it.flush(4);
    expect(statuses(it)).toEqual([
      "f1 firing,f2 firing",
      "x firing",
      "f1 resolved,f2 firing",
      "f2 resolved",
    ]);
    expect(it.receiver.received.map(({ message }) => message.status)).toEqual([
      "firing",
      "firing",
      "firing",
      "resolved",
    ]);
    expect(it.receiver.received[3]?.message.alerts[0]?.annotations["resolution"]).toBe(
      "its data vanished",
    );
    expect(it.sink.stats().alerts).toBe(1);
  });

  test("what the receiver knows is not said again, and what came and went is not said at all", async () => {
    await using it = await rig();
    it.sink.deliver(alertEvent());
    await it.flush(1);
    it.sink.deliver(alertEvent());
    await it.flush(1);
    const brief = alertEvent({ fingerprint: "f9", labels: { alertname: "Brief" } });
    it.sink.deliver(brief);
    it.sink.deliver(ended(brief));
    it.sink.deliver(ended(alertEvent({ fingerprint: "never" })));
    await it.flush(1);
    expect(it.sink.stats()).toMatchObject({ sent: 1, deduplicated: 2, alerts: 1 });
  });

  test("an alert that resolves and fires again is news", async () => {
    await using it = await rig();
    it.sink.deliver(alertEvent());
    await it.flush(1);
    it.sink.deliver(ended(alertEvent()));
    it.sink.deliver(alertEvent({ startsAtMs: Date.UTC(2026, 0, 2) }));
    await it.flush(2);
    expect(it.receiver.received[1]?.message.alerts[0]?.startsAt).toBe("2026-01-02T00:00:00.000Z");
  });

  test("beyond the limits alerts are dropped and messages truncated, and both are counted", async () => {
    await using it = await rig({ maxAlerts: 3, maxAlertsPerMessage: 2 });
    for (const fingerprint of ["a", "b", "c", "d", "e"])
      it.sink.deliver(alertEvent({ fingerprint }));
    await it.flush(1);
    await it.flush(2);
    await it.flush(2);
    expect(it.sink.stats()).toMatchObject({ sent: 2, dropped: 2, alerts: 3 });
    expect(statuses(it)).toEqual(["a firing,b firing", "c firing,a firing"]);
    for (const { message } of it.receiver.received) expect(message.truncatedAlerts).toBe(1);
    for (const fingerprint of ["a", "b", "c"]) it.sink.deliver(ended(alertEvent({ fingerprint })));
    await it.flush(3);
    await it.flush(4);
    expect(statuses(it).slice(2)).toEqual(["a resolved,b resolved", "c resolved"]);
    expect(it.sink.stats()).toMatchObject({ sent: 4, alerts: 0 });
  });
});

describe("webhook: receivers in trouble", () => {
  test("an error is tried again with growing pauses, with what is true by then", async () => {
    await using it = await rig();
    for (const status of [500, 429]) {
      it.receiver.answers.push((response) => void response.writeHead(status).end("busy"));
    }
    it.sink.deliver(alertEvent());
    await it.flush(1);
    it.sink.deliver(alertEvent({ fingerprint: "f2" }));
    await it.timers.advance(900);
    expect(it.receiver.received).toHaveLength(1);
    await it.flush(2);
    await it.timers.advance(1900);
    expect(it.receiver.received).toHaveLength(2);
    await it.flush(3);
    expect(statuses(it)).toEqual(["f1 firing", "f1 firing,f2 firing", "f1 firing,f2 firing"]);
    expect(it.sink.stats()).toMatchObject({ sent: 1, retries: 2, failed: 0 });
    expect(it.errors).toEqual([]);
  });

  test("it gives up after maxAttempts, and a later event of the group is another chance", async () => {
    await using it = await rig({ maxAttempts: 2 });
    const fail = () => it.receiver.answers.push((response) => void response.writeHead(503).end());
    fail();
    fail();
    it.sink.deliver(alertEvent());
    await it.flush(1);
    await it.flush(2);
    await it.timers.advance(600_000);
    expect(it.errors).toMatchObject([{ code: "METRICS_WEBHOOK_FAILED", status: 503 }]);
    expect(it.timers.pending).toBe(0);
    it.sink.deliver(alertEvent({ fingerprint: "f2" }));
    await it.flush(3);
    expect(statuses(it).at(-1)).toBe("f1 firing,f2 firing");
    expect(it.sink.stats()).toMatchObject({ sent: 1, failed: 1, retries: 1 });
  });

  test("a receiver that answers again hears what it missed, of every group", async () => {
    await using it = await rig({ maxAttempts: 1 });
    it.receiver.answers.push((response) => void response.writeHead(503).end());
    it.sink.deliver(alertEvent());
    await it.flush(1);
    it.sink.deliver(alertEvent({ fingerprint: "x", labels: { alertname: "Slow" } }));
    await it.flush(2);
    await it.flush(3);
    expect(statuses(it)).toEqual(["f1 firing", "x firing", "f1 firing"]);
    expect(it.sink.stats()).toMatchObject({ sent: 2, failed: 1, alerts: 2 });
    expect(it.timers.pending).toBe(0);
  });

  test.each([400, 401, 404])("%d is final", async (status) => {
    await using it = await rig();
    it.receiver.answers.push((response) => void response.writeHead(status).end());
    it.sink.deliver(alertEvent());
    await it.flush(1);
    await it.timers.advance(600_000);
    expect(it.receiver.received).toHaveLength(1);
    expect(it.errors).toMatchObject([{ status }]);
  });

  test("a redirect is not followed", async () => {
    await using it = await rig();
    const elsewhere = await WebhookReceiver.start();
    onTestFinished(async () => {
      await elsewhere[Symbol.asyncDispose]();
    });
    it.receiver.answers.push(
      (response) => void response.writeHead(307, { location: `${elsewhere.origin}/x` }).end(),
    );
    it.sink.deliver(alertEvent());
    await it.flush(1);
    await it.timers.advance(600_000);
    expect(elsewhere.received).toEqual([]);
    expect(it.errors).toMatchObject([{ status: 307 }]);
  });

  test("a receiver that never answers is left after the time-out", async () => {
    await using it = await rig({ maxAttempts: 1, timeoutMs: 2000 });
    it.receiver.answers.push(() => undefined);
    it.sink.deliver(alertEvent());
    await it.timers.advance(1000);
    await it.receiver.until(() => it.receiver.received.length === 1);
    await it.timers.advance(2000);
    await it.receiver.until(() => it.errors.length === 1);
    expect(it.errors[0]?.message).toMatch(/no answer within 2000 ms/);
    expect(it.timers.pending).toBe(0);
  });

  test("a receiver that is not there is tried again, and errors show no path", async () => {
    const gone = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => gone.once("listening", resolve));
    const origin = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
    await new Promise((resolve) => gone.close(resolve));
    await using it = await rig({
      url: `${origin}/secret`,
      allowedOrigins: [origin],
      maxAttempts: 3,
    });
    it.sink.deliver(alertEvent());
    for (let turn = 0; it.errors.length === 0 && turn < 200; turn += 1) {
      await it.timers.advance(10_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(it.errors).toMatchObject([{ code: "METRICS_WEBHOOK_FAILED" }]);
    expect(it.errors[0]?.message).not.toContain("secret");
    expect(it.sink.stats()).toMatchObject({ retries: 2, failed: 1 });
  });

  test("onError that throws stops nothing", async () => {
    await using it = await rig({
      onError: () => {
        throw new Error("mine");
      },
    });
    it.receiver.answers.push((response) => void response.writeHead(400).end());
    it.sink.deliver(alertEvent());
    await it.flush(1);
    it.sink.deliver(alertEvent({ fingerprint: "f2" }));
    await it.flush(2);
    expect(it.sink.stats()).toMatchObject({ sent: 1, failed: 1 });
  });

  test("closing aborts what is under way, and nothing is sent any more", async () => {
    await using it = await rig();
    it.receiver.answers.push(() => undefined);
    it.sink.deliver(alertEvent());
    await it.timers.advance(1000);
    await it.receiver.until(() => it.receiver.received.length === 1);
    it.sink.close();
    it.sink.deliver(alertEvent({ fingerprint: "f2" }));
    await it.timers.advance(600_000);
    await settle();
    expect(it.receiver.received).toHaveLength(1);
    expect(it.errors).toEqual([]);
    expect(it.timers.pending).toBe(0);
  });
});

describe("webhook: targets", () => {
  const allowedOrigins = ["https://hooks.example.org", "http://127.0.0.1:9000"];

  test.each([
    "https://hooks.example.org.evil.example/x",
    "https://hooks.example.org:8443/x",
    "http://hooks.example.org/x",
    "http://127.0.0.1:9001/",
    "http://[::1]:9000/",
    "https://user:secret@hooks.example.org/x",
    "file:///etc/passwd",
    "not a url",
  ])("%s is refused", (url) => {
    const create = () => new WebhookSink({ url, allowedOrigins });
    expect(create).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "url" }),
    );
    expect(create).not.toThrow(/secret/);
  });

  test("wrong options are refused by name", () => {
    const url = "https://hooks.example.org/x";
    for (const [option, value] of Object.entries({
      allowedOrigins: ["https://hooks.example.org/"],
      name: "",
      timeoutMs: 0,
      maxAttempts: 100,
      headers: { "a b": "c" },
      groupBy: "alertname",
      onError: 5,
      externalUrl: 5,
    })) {
      expect(() => new WebhookSink({ url, allowedOrigins, [option]: value })).toThrow(
        expect.objectContaining({ code: "METRICS_INVALID_OPTION", option }),
      );
    }
    expect(new WebhookSink({ url, allowedOrigins }).metricFamilies()[0]?.read()).toHaveLength(3);
  });
});
