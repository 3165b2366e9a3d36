// What does session.pipe cost per 16 KiB chunk, against a plain async generator and a Node Transform?
import { Readable, Transform } from "node:stream";
import { ReadableStream, TransformStream } from "node:stream/web";
import { Bench } from "tinybench";
import { StreamGuard } from "@mcp-accel/stream-guard";

const CHUNK_BYTES = 16 * 1024;
const CHUNKS = 256;
const ROUNDS = 9;
const TASK_MS = 150;

const chunk = new Uint8Array(CHUNK_BYTES);
const guard = new StreamGuard();

interface Contender {
  readonly name: string;
  readonly perRun: number;
  readonly run: () => void | Promise<void>;
}

/** `copying` stands for a stream that does something: it makes each chunk anew. */
const contenders: readonly Contender[] = [
  { name: "source alone", perRun: CHUNKS, run: () => drain(source(false)) },
  { name: "plain async generator", perRun: CHUNKS, run: () => drain(passOn(source(false))) },
  { name: "session.pipe", perRun: CHUNKS, run: () => piped(false) },
  { name: "Node Transform", perRun: CHUNKS, run: () => drain(transformed()) },
  { name: "web TransformStream", perRun: CHUNKS, run: () => drain(webTransformed()) },
  {
    name: "plain async generator, copying",
    perRun: CHUNKS,
    run: () => drain(passOn(source(true))),
  },
  { name: "session.pipe, copying", perRun: CHUNKS, run: () => piped(true) },
  { name: "ledger: reserve and release", perRun: 10_000, run: ledger },
];

const rounds: Map<string, number>[] = [];
for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure(round));
report();
await guard.close();

async function measure(round: number): Promise<Map<string, number>> {
  const bench = new Bench({ time: TASK_MS, warmupTime: round === 0 ? TASK_MS : 20 });
  const shift = round % contenders.length;
  for (const { name, run } of [...contenders.slice(shift), ...contenders.slice(0, shift)])
    bench.add(name, async () => run());
  await bench.run();
  return new Map(
    contenders.map(({ name, perRun }) => {
      const result = bench.getTask(name)?.result;
      if (result === undefined || !("latency" in result)) throw new Error(`${name} did not run`);
      return [name, (result.latency.p50 * 1e6) / perRun];
    }),
  );
}

function report(): void {
  const rows = contenders.map(({ name }) => ({
    name,
    nsPerChunk: spread(rounds.map((round) => round.get(name) ?? Number.NaN)),
  }));
  const ratios = [
    ratio("session.pipe", "plain async generator"),
    ratio("session.pipe", "Node Transform"),
    ratio("session.pipe", "web TransformStream"),
    ratio("session.pipe, copying", "plain async generator, copying"),
  ];
  const facts = { node: process.version, chunkBytes: CHUNK_BYTES, rounds: ROUNDS, rows, ratios };
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify(facts));
    return;
  }
  console.log(
    `stream-guard, ${CHUNK_BYTES} byte chunks, Node ${process.version}, ${ROUNDS} interleaved rounds`,
  );
  console.table(rows.map(({ name, nsPerChunk }) => ({ name, "ns per chunk": text(nsPerChunk) })));
  console.table(ratios.map(({ name, value }) => ({ ratio: name, value: text(value) })));
}

interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

function ratio(a: string, b: string): { readonly name: string; readonly value: Spread } {
  const values = rounds.map((round) => (round.get(a) ?? Number.NaN) / (round.get(b) ?? Number.NaN));
  return { name: `${a} / ${b}`, value: spread(values) };
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), low: at(0), high: at(1) };
}

function text({ median, low, high }: Spread): string {
  return `${median.toPrecision(3)} (${low.toPrecision(3)} to ${high.toPrecision(3)})`;
}

async function* source(copying: boolean): AsyncGenerator<Uint8Array> {
  for (let count = 0; count < CHUNKS; count += 1) yield copying ? new Uint8Array(chunk) : chunk;
}

async function* passOn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  for await (const each of chunks) yield [each];
}

function transformed(): Readable {
  const transform = new Transform({
    transform: (each, _encoding, callback) => {
      callback(null, each);
    },
  });
  return Readable.from(source(false), { objectMode: false }).pipe(transform);
}

function webTransformed(): ReadableStream<Uint8Array> {
  return ReadableStream.from(source(false)).pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>(),
  );
}

async function piped(copying: boolean): Promise<void> {
  const session = guard.open();
  await drain(session.pipe(source(copying)));
  await session.close();
}

async function drain(chunks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of chunks);
}

function ledger(): void {
  const session = guard.open();
  for (let count = 0; count < 10_000; count += 1) {
    session.reserve(CHUNK_BYTES);
    session.release(CHUNK_BYTES);
  }
  void session.close();
}
