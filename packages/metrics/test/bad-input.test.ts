import { EventEmitter } from "eventemitter3";
import { describe, expect, test } from "vitest";
import { MAX_SERIES } from "../src/cardinality.ts";
import { Metrics, NestedReadError, OTHER } from "../src/index.ts";
import type { Collectable, CollectErrorEvent, MetricFamily, MetricSample } from "../src/index.ts";
import {
  component,
  counter,
  gauge,
  labelled,
  lookupDuration,
  samplesOf,
  scrape,
} from "./components.ts";

/** Metrics with one sound component, and what they announced. */
function watched(): { metrics: Metrics; events: CollectErrorEvent[] } {
  const metrics = new Metrics({ runtime: false });
  const events: CollectErrorEvent[] = [];
  metrics.on("collectError", (event) => events.push(event));
  metrics.collect(component(gauge("sound", () => 7)));
  return { metrics, events };
}

function looped(value: unknown): unknown {
  const self: Record<string, unknown> = { value };
  self["self"] = self;
  return self;
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function recursing(): unknown {
  return recursing();
}

function* endless(): Generator<MetricSample> {
  for (;;) yield { value: 1 };
}

const throwing = {
  get value(): number {
    throw new Error("no value");
  },
};

describe("bad input: a read", () => {
  test.each<[string, (metrics: Metrics) => unknown]>([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    [
      "throws nothing at all",
      () => {
        throw undefined;
      },
    ],
    [
      "throws an object without a prototype",
      () => {
        throw Object.create(null);
      },
    ],
    ["recurses without end", recursing],
    ["returns nothing", () => undefined],
    ["returns a number", () => 5],
    ["returns an endless sequence", endless],
    ["returns a promise that rejects", () => Promise.reject(new Error("later"))],
    ["returns a huge empty array", () => Object.assign([], { length: 1e9 })],
    ["returns a revoked proxy", revoked],
    ["returns null among the samples", () => [null]],
    ["returns a big integer", () => [{ value: 5n }]],
    ["returns a symbol", () => [{ value: Symbol("x") }]],
    ["returns text", () => [{ value: "1\nevil 1" }]],
    ["returns an object that becomes a number", () => [{ value: { valueOf: () => 1 } }]],
    ["returns a value that rejects", () => [{ value: Promise.reject(new Error("later")) }]],
    ["returns a value that throws", () => [throwing]],
    ["returns NaN", () => [{ value: NaN }]],
    ["returns Infinity", () => [{ value: Infinity }]],
    ["returns less than nothing", () => [{ value: -1 }]],
    ["returns labels that are circular", () => [{ value: 1, labels: looped(1n) }]],
    ["returns labels that are null", () => [{ value: 1, labels: null }]],
    [
      "returns labels from its prototype",
      () => [{ value: 1, labels: { __proto__: { a: "x" }, b: "y" } }],
    ],
    [
      "returns a thousand labels",
      () => [
        {
          value: 1,
          labels: Object.fromEntries(
            Array.from({ length: 1000 }, (_, index) => [`l${index}`, "x"]),
          ),
        },
      ],
    ],
    [
      "asks for the exposition",
      (metrics) => {
        void metrics.exposition();
        return undefined;
      },
    ],
    [
      "asks for the snapshot",
      (metrics) => {
        void metrics.snapshot();
        throw new Error("then throws");
      },
    ],
    [
      "closes nothing but throws a NestedReadError",
      () => {
        throw new NestedReadError("x", "y");
      },
    ],
  ])("that %s is announced and the rest is written", async (_, read) => {
    const { metrics, events } = watched();
    metrics.collect(
      component({ ...counter("bad_total", () => 0), read: () => read(metrics) as never }),
    );
    const { body } = await metrics.exposition();
    expect(body).toContain("sound 7");
    expect(body).not.toMatch(/^(?:bad_total|evil)\b/m);
    expect(events.map(({ family }) => family)).toContain("bad_total");
    expect(metrics.stats().collectErrors).toBe(events.length);
    const snapshot = await metrics.snapshot();
    expect(snapshot["bad_total"]?.samples).toEqual([]);
    expect(snapshot["sound"]?.samples).toHaveLength(1);
    metrics.close();
  });

  test("that gives another value each time it is looked at is looked at once", async () => {
    const { metrics } = watched();
    const values = [3, "evil\n", NaN, -5];
    const sample = {
      get value(): number {
        return (values.shift() ?? 0) as number;
      },
    };
    metrics.collect(component({ ...counter("shifty_total", () => 0), read: () => [sample] }));
    expect((await metrics.exposition()).body).toMatch(/^shifty_total 3$/m);
    metrics.close();
  });

  test("that asks for all series gets an error, once, and the process goes on", async () => {
    const { metrics, events } = watched();
    const answers: Promise<unknown>[] = [];
    const nosy = gauge("nosy", () => {
      answers.push(metrics.exposition(), metrics.snapshot());
      return 1;
    });
    metrics.collect(component(nosy));
    expect((await metrics.exposition()).body).toContain("nosy 1");
    expect(events).toEqual([
      {
        family: "nosy",
        error: expect.objectContaining({ code: "METRICS_NESTED_READ", family: "nosy" }),
      },
    ]);
    for (const answer of answers) await expect(answer).rejects.toThrow(/outside of read\(\)/);
    expect(answers).toHaveLength(2);
    metrics.close();
  });

  test("that fails and a listener that asks for all series each time end", async () => {
    const { metrics, events } = watched();
    metrics.on("collectError", () => void metrics.exposition());
    metrics.collect(component(gauge("broken", () => "x" as never)));
    await metrics.exposition();
    await new Promise(setImmediate);
    expect(events.map(({ family }) => family)).toEqual(["broken", "broken"]);
    expect(metrics.stats().scrapes).toBe(1);
    metrics.close();
  });

  test("that collects another of its kind does not keep the scrape from ending", async () => {
    const { metrics } = watched();
    let made = 0;
    const another = (): Collectable =>
      component(
        gauge("breeder", () => {
          made += 1;
          metrics.collect(another(), { labels: { n: String(made) } });
          return made;
        }),
      );
    metrics.collect(another());
    await metrics.exposition();
    expect(made).toBe(1);
    await metrics.snapshot();
    expect(made).toBe(3);
    metrics.close();
  });

  test("that disposes its own collection is let go", async () => {
    const { metrics } = watched();
    const own: Disposable[] = [];
    const family = gauge("leaving", () => {
      own.pop()?.[Symbol.dispose]();
      return 1;
    });
    own.push(metrics.collect(component(family)));
    expect((await metrics.exposition()).body).toContain("sound 7");
    expect((await metrics.exposition()).body).not.toContain("leaving");
    metrics.close();
  });

  test("that closes the metrics ends them without harm", async () => {
    const { metrics } = watched();
    metrics.collect(component(gauge("last", () => (metrics.close(), 1))));
    await metrics.exposition();
    expect(metrics.stats()).toMatchObject({ closed: true, components: 0 });
  });
});

describe("bad input: an event", () => {
  const cases: [string, Partial<typeof lookupDuration>, unknown][] = [
    ["without content", {}, undefined],
    ["with text for a number", {}, { seconds: "1", outcome: "hit" }],
    ["with a big integer", {}, { seconds: 1n, outcome: "hit" }],
    ["with a label that is a number", {}, { seconds: 1, outcome: 5 }],
    ["with a label that is an object", {}, { seconds: 1, outcome: {} }],
    [
      "whose value is a promise that rejects",
      { value: () => Promise.reject(new Error("later")) as never },
      {},
    ],
    [
      "whose value throws",
      {
        value: () => {
          throw new Error("no");
        },
      },
      {},
    ],
    [
      "whose labels throw",
      {
        labelsOf: () => {
          throw new Error("no");
        },
      },
      { seconds: 1 },
    ],
  ];
  test.each(cases)("%s is announced and never reaches the component", async (_, wrong, event) => {
    const { metrics, events } = watched();
    const emitter = Object.assign(new EventEmitter(), {
      metricFamilies: () => [{ ...lookupDuration, ...wrong }] as readonly MetricFamily[],
    });
    metrics.collect(emitter);
    expect(() => emitter.emit("lookup", event)).not.toThrow();
    expect(events).toHaveLength(1);
    expect(await samplesOf(metrics, lookupDuration.name)).toEqual([]);
    await new Promise(setImmediate);
    metrics.close();
  });

  test("whose value emits the event again ends", async () => {
    const { metrics } = watched();
    const emitter = Object.assign(new EventEmitter(), {
      metricFamilies: () =>
        [{ ...lookupDuration, value: () => (emitter.emit("lookup", {}), 1) }] as never,
    });
    metrics.collect(emitter);
    expect(() => emitter.emit("lookup", {})).not.toThrow();
    expect(metrics.stats().collectErrors).toBeGreaterThan(0);
    metrics.close();
  });

  test.each(["constructor", "toString", "hasOwnProperty", "valueOf"])(
    "without the label %s has no value of the prototype for it",
    async (label) => {
      const { metrics, events } = watched();
      const family = { ...lookupDuration, labels: [label], labelsOf: () => ({}) };
      const emitter = Object.assign(new EventEmitter(), {
        metricFamilies: () => [family] as never,
      });
      metrics.collect(emitter);
      emitter.emit("lookup", { seconds: 1 });
      emitter.emit("lookup", { seconds: 1 });
      const count = (await samplesOf(metrics, family.name)).at(-1);
      expect(count).toEqual({ name: `${family.name}_count`, labels: {}, value: 2 });
      expect(events).toEqual([]);
      metrics.close();
    },
  );
});

describe("bad input: labels", () => {
  const huge = "x".repeat(1e6);
  test.each([huge, "\ud800", "a\udc00b"])(
    "a value that cannot be written is folded",
    async (value) => {
      const { metrics } = watched();
      metrics.collect(
        component(
          labelled("counter", "things_total", "thing", () => [
            [value, 2],
            ["a", 1],
          ]),
        ),
      );
      const samples = await samplesOf(metrics, "things_total");
      expect(samples.map(({ labels }) => labels["thing"])).toEqual([OTHER, "a"]);
      metrics.close();
    },
  );

  test.each([
    ["huge", { a: "x".repeat(1_025) }],
    ["ill-formed", { a: "\ud800" }],
    ["too many", Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`l${index}`, "x"]))],
  ])("constant labels that are %s are refused", (_, labels) => {
    const { metrics } = watched();
    const refused = expect.objectContaining({ code: "METRICS_INVALID_OPTION" });
    expect(() => metrics.collect(component(), { labels })).toThrow(refused);
    expect(() => new Metrics({ labels })).toThrow(refused);
    metrics.close();
  });

  test.each<[string, Partial<MetricFamily>]>([
    ["a long name", { name: `${"x".repeat(256)}_total` }],
    ["a long help text", { help: "x".repeat(1_025) }],
    ["a label of the prototype chain", { labels: ["__proto__"] }],
  ])("a family with %s is refused", (_, wrong) => {
    const { metrics } = watched();
    const family = { ...counter("good_total", () => 1), ...wrong } as MetricFamily;
    expect(() => metrics.collect(component(family))).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_FAMILY" }),
    );
    metrics.close();
  });

  test.each(["__proto__", "constructor", "toString"])(
    "a family named %s is one like others",
    async (name) => {
      const { metrics } = watched();
      metrics.collect(component(gauge(name, () => 5)));
      expect((await scrape(metrics)).get(name)?.samples).toEqual([{ name, labels: {}, value: 5 }]);
      expect(Object.keys(await metrics.snapshot())).toContain(name);
      metrics.close();
    },
  );

  test("a counter among too many series keeps its own, in whatever order they are read", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 10_000 });
    const names = Array.from({ length: MAX_SERIES + 500 }, (_, index) => `n${index}`);
    let order = names.slice(0, MAX_SERIES);
    metrics.collect(
      component(
        labelled("counter", "jobs_total", "job", () => order.map((job) => [job, 1] as const)),
      ),
    );
    const before = await samplesOf(metrics, "jobs_total");
    order = names.toReversed();
    const after = new Map(
      (await samplesOf(metrics, "jobs_total")).map(({ labels, value }) => [labels["job"], value]),
    );
    for (const { labels, value } of before) expect(after.get(labels["job"])).toBe(value);
    expect(after.get(OTHER)).toBe(500);
  });
});

describe("bad input: components", () => {
  test("whose off throws are let go with all they have, and that is announced", async () => {
    const { metrics, events } = watched();
    const emitter = new EventEmitter();
    const stubborn = {
      metricFamilies: () =>
        [gauge("before", () => 1), lookupDuration, gauge("after", () => 1)] as never,
      on: (event: string, listener: () => void) => emitter.on(event, listener),
      off: () => {
        throw new Error("stay");
      },
    };
    const other = Object.assign(new EventEmitter(), {
      metricFamilies: () => [{ ...lookupDuration, name: "other_seconds" }] as never,
    });
    const collection = metrics.collect(stubborn);
    metrics.collect(other);
    expect(() => collection[Symbol.dispose]()).not.toThrow();
    expect(events.map(({ family }) => family)).toEqual([lookupDuration.name]);
    const { body } = await metrics.exposition();
    expect(body).not.toMatch(/^(?:before|after) /m);
    metrics.collect(stubborn);
    expect(() => metrics.close()).not.toThrow();
    expect(other.listenerCount("lookup")).toBe(0);
  });

  test("whose on throws are not collected at all", () => {
    const { metrics } = watched();
    const families = metrics.stats().families;
    const broken = {
      metricFamilies: () => [gauge("before", () => 1), lookupDuration] as never,
      on: () => {
        throw new Error("full");
      },
      off: () => undefined,
    };
    expect(() => metrics.collect(broken as Collectable)).toThrow("full");
    expect(metrics.stats().families).toBe(families);
    metrics.close();
  });

  test("by the thousand come and go without a trace", async () => {
    const { metrics, events } = watched();
    const families = metrics.stats().families;
    const emitter = new EventEmitter();
    const one = Object.assign(emitter, {
      metricFamilies: () => [gauge("depth", () => 1), { ...lookupDuration, labels: [] }] as never,
    });
    for (let round = 0; round < 3; round += 1) {
      const collections = Array.from({ length: 2_000 }, (_, index) =>
        metrics.collect(one, { labels: { index: String(index) } }),
      );
      expect((await metrics.snapshot())["depth"]?.samples).toHaveLength(2_000);
      expect(emitter.listenerCount("lookup")).toBe(2_000);
      for (const collection of collections) collection[Symbol.dispose]();
    }
    expect(emitter.listenerCount("lookup")).toBe(0);
    expect(metrics.stats()).toMatchObject({ components: 3, families });
    expect(events).toEqual([]);
    metrics.close();
  });

  test.each([
    ["nothing", undefined],
    ["an object without a prototype", Object.create(null)],
    ["a symbol", Symbol("x")],
  ])("a listener that throws %s becomes a warning", async (_, thrown) => {
    const { metrics } = watched();
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on("warning", listen);
    metrics.on("collectError", () => {
      throw thrown;
    });
    metrics.collect(component(gauge("broken", () => "x" as never)));
    expect((await metrics.exposition()).body).toContain("sound 7");
    await new Promise(setImmediate);
    process.off("warning", listen);
    expect(warnings).toEqual([expect.objectContaining({ code: "METRICS_LISTENER" })]);
    metrics.close();
  });

  test("a clock that jumps or stops makes no duration below 0", async () => {
    const times = [100, 50, NaN, 5, Infinity, 7, -Infinity, 0];
    using metrics = new Metrics({ runtime: false, now: () => times.shift() ?? 0 });
    const operation = { method: "ping", transport: "stdio" } as const;
    for (let index = 0; index < 4; index += 1) {
      expect(() => metrics.operations.start().record(operation)).not.toThrow();
    }
    const samples = await samplesOf(metrics, "mcp_server_operation_duration_seconds");
    const count = samples.find(({ name }) => name.endsWith("_count"));
    expect((count?.value ?? 0) + metrics.stats().collectErrors).toBe(4);
    for (const { value } of samples) expect(value).toBeGreaterThanOrEqual(0);
  });
});
