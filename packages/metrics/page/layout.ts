import type { PanelName } from "../src/dashboard-protocol.ts";
import type { Unit } from "./format.ts";

export interface LineSpec {
  /** Without `each`, the key of one series; with it, a measure with a series for each label. */
  readonly key: string;
  readonly label: string;
  readonly each?: boolean;
}

export interface ChartSpec {
  readonly title: string;
  readonly unit: Unit;
  readonly lines: readonly LineSpec[];
  /** Keys whose value stands large beside the title. */
  readonly big: string;
}

export interface ColumnSpec {
  readonly title: string;
  readonly measure: string;
  readonly unit: Unit;
}

export interface TableSpec {
  readonly caption: string;
  readonly name: string;
  readonly columns: readonly ColumnSpec[];
  readonly spark: string;
}

export interface FactSpec {
  readonly label: string;
  readonly key: string;
  readonly unit: Unit;
  /** Above it the fact is marked. */
  readonly badAbove?: number;
  /** Shown in the place of the name of the label. */
  readonly each?: boolean;
}

export interface PanelSpec {
  readonly panel: PanelName;
  readonly title: string;
  readonly missing: string;
  readonly facts: readonly FactSpec[];
  readonly charts: readonly ChartSpec[];
  readonly table?: TableSpec;
}

export interface TileSpec {
  readonly label: string;
  readonly key: string;
  readonly unit: Unit;
  readonly note?: { readonly key: string; readonly unit: Unit; readonly label: string };
}

export const TILES: readonly TileSpec[] = [
  { label: "Calls", key: "tools/rate", unit: "rate" },
  { label: "Errors", key: "tools/error-share", unit: "ratio" },
  { label: "Latency p95", key: "tools/p95", unit: "seconds" },
  { label: "Cache hits", key: "cache/hit-ratio", unit: "ratio" },
  { label: "Pool waiting", key: "pool/waiting", unit: "count" },
  { label: "Batch queue", key: "batches/queue", unit: "count" },
  { label: "Memory", key: "process/rss", unit: "bytes" },
  { label: "Event loop p99", key: "process/lag-p99", unit: "seconds" },
];

const percentiles = (prefix: string): readonly LineSpec[] => [
  { key: `${prefix}/p50`, label: "p50" },
  { key: `${prefix}/p95`, label: "p95" },
  { key: `${prefix}/p99`, label: "p99" },
];

export const PANEL_SPECS: readonly PanelSpec[] = [
  {
    panel: "tools",
    title: "Tools",
    missing: "No tool has been called",
    facts: [],
    table: {
      caption: "Each tool, over the last 10 seconds",
      name: "Tool",
      spark: "tool/rate",
      columns: [
        { title: "Calls", measure: "tool/rate", unit: "rate" },
        { title: "Errors", measure: "tool/errors", unit: "rate" },
        { title: "p50", measure: "tool/p50", unit: "seconds" },
        { title: "p95", measure: "tool/p95", unit: "seconds" },
        { title: "p99", measure: "tool/p99", unit: "seconds" },
      ],
    },
    charts: [
      {
        title: "Calls by tool",
        unit: "rate",
        big: "tools/rate",
        lines: [{ key: "tool/rate", label: "", each: true }],
      },
      {
        title: "Errors",
        unit: "rate",
        big: "tools/errors",
        lines: [
          { key: "tools/errors", label: "All tools" },
          { key: "tool/errors", label: "", each: true },
        ],
      },
      {
        title: "Latency, all tools",
        unit: "seconds",
        big: "tools/p95",
        lines: percentiles("tools"),
      },
    ],
  },
  {
    panel: "cache",
    title: "Cache",
    missing: "This process has no cache",
    facts: [
      { label: "Stale incidents", key: "cache/mismatches", unit: "count", badAbove: 0 },
      { label: "Served stale, in all", key: "cache/stale-total", unit: "count" },
      { label: "Store errors", key: "cache/store-errors", unit: "count", badAbove: 0 },
      { label: "Load errors", key: "cache/load-errors", unit: "count", badAbove: 0 },
      { label: "Entries", key: "cache/entries", unit: "count" },
      { label: "Size", key: "cache/bytes", unit: "bytes" },
      { label: "Bypassed", key: "cache/bypassed", unit: "count", badAbove: 0 },
    ],
    charts: [
      {
        title: "Hit ratio",
        unit: "ratio",
        big: "cache/hit-ratio",
        lines: [{ key: "cache/hit-ratio", label: "Hits among reads" }],
      },
      {
        title: "Reads",
        unit: "rate",
        big: "cache/hits",
        lines: [
          { key: "cache/hits", label: "Hits" },
          { key: "cache/misses", label: "Misses" },
          { key: "cache/stale-hits", label: "Stale" },
        ],
      },
      {
        title: "Invalidations",
        unit: "rate",
        big: "cache/invalidated",
        lines: [
          { key: "cache/invalidations", label: "", each: true },
          { key: "cache/event", label: "Event ", each: true },
          { key: "cache/tag", label: "Tag ", each: true },
        ],
      },
    ],
  },
  {
    panel: "pool",
    title: "Connection pool",
    missing: "This process has no connection pool",
    facts: [{ label: "Upstreams ", key: "pool/state", unit: "count", each: true }],
    table: {
      caption: "Each upstream",
      name: "Upstream",
      spark: "upstream/rate",
      columns: [
        { title: "Requests", measure: "upstream/rate", unit: "rate" },
        { title: "Failed", measure: "upstream/failed", unit: "rate" },
        { title: "p95", measure: "upstream/p95", unit: "seconds" },
        { title: "Open", measure: "upstream/open", unit: "count" },
        { title: "Waiting", measure: "upstream/waiting", unit: "count" },
        { title: "Ejections", measure: "upstream/ejections", unit: "count" },
      ],
    },
    charts: [
      {
        title: "Reuse",
        unit: "ratio",
        big: "pool/reuse",
        lines: [{ key: "pool/reuse", label: "On a used connection" }],
      },
      {
        title: "Connections",
        unit: "count",
        big: "pool/active",
        lines: [
          { key: "pool/active", label: "In use" },
          { key: "pool/idle", label: "Idle" },
          { key: "pool/waiting", label: "Requests waiting" },
        ],
      },
      {
        title: "Latency of requests",
        unit: "seconds",
        big: "pool/p95",
        lines: percentiles("pool"),
      },
    ],
  },
  {
    panel: "batches",
    title: "Batches",
    missing: "This process does not batch",
    facts: [
      { label: "Refused, queue full", key: "batches/overloads", unit: "rate", badAbove: 0 },
      { label: "Items", key: "batches/items", unit: "rate" },
      { label: "Batches", key: "batches/rate", unit: "rate" },
    ],
    charts: [
      {
        title: "Items in a batch",
        unit: "count",
        big: "batches/size",
        lines: [
          { key: "batches/size", label: "Mean size" },
          { key: "batches/size-limit", label: "Largest allowed" },
        ],
      },
      {
        title: "Concurrency and queue",
        unit: "count",
        big: "batches/running",
        lines: [
          { key: "batches/running", label: "Running" },
          { key: "batches/concurrency-limit", label: "Limit" },
          { key: "batches/queue", label: "Items in the queue" },
        ],
      },
      { title: "Duration", unit: "seconds", big: "batches/p95", lines: percentiles("batches") },
    ],
  },
  {
    panel: "process",
    title: "Process",
    missing: "The process is not measured",
    facts: [
      { label: "Heap limit", key: "process/heap-limit", unit: "bytes" },
      { label: "Memory limit", key: "process/memory-limit", unit: "bytes" },
    ],
    charts: [
      {
        title: "Memory",
        unit: "bytes",
        big: "process/rss",
        lines: [
          { key: "process/rss", label: "Resident" },
          { key: "process/heap", label: "Heap in use" },
        ],
      },
      {
        title: "Event loop delay",
        unit: "seconds",
        big: "process/lag-p99",
        lines: [
          { key: "process/lag-p50", label: "p50" },
          { key: "process/lag-p99", label: "p99" },
        ],
      },
      {
        title: "Busy",
        unit: "ratio",
        big: "process/utilization",
        lines: [
          { key: "process/utilization", label: "Event loop" },
          { key: "process/cpu", label: "CPU, of one core" },
          { key: "process/gc", label: "Garbage collection" },
        ],
      },
    ],
  },
  {
    panel: "streams",
    title: "Streams",
    missing: "This process guards no streams",
    facts: [
      { label: "Waiting for room", key: "streams/waiting", unit: "count" },
      { label: "Paused sources", key: "streams/paused", unit: "count", badAbove: 0 },
    ],
    charts: [
      {
        title: "Sessions",
        unit: "count",
        big: "streams/sessions",
        lines: [
          { key: "streams/sessions", label: "Open" },
          { key: "streams/sessions-limit", label: "Limit" },
        ],
      },
      {
        title: "Memory of streams",
        unit: "bytes",
        big: "streams/used",
        lines: [
          { key: "streams/used", label: "Reserved" },
          { key: "streams/limit", label: "Limit" },
        ],
      },
      {
        title: "Turned away",
        unit: "rate",
        big: "streams/rejected",
        lines: [
          { key: "streams/rejected", label: "Refused" },
          { key: "streams/evicted", label: "Closed under pressure" },
        ],
      },
    ],
  },
];
