// What does session.pipe cost for each 16 KiB chunk, over an async generator that passes chunks on?
import { StreamGuard } from "@mcp-accel/stream-guard";
import { CHUNKS, drain, passOn, source } from "./chunks.ts";
import { ask } from "./paired.ts";
import type { Question } from "./paired.ts";

const guard = new StreamGuard();

await ask([
  question("pipe: the source makes and fills each chunk", true),
  question("pipe: the source does nothing", false),
]);
await guard.close();

function question(title: string, making: boolean): Question {
  return {
    title,
    contenders: [
      {
        name: "plain async generator",
        perRun: CHUNKS,
        run: () => drain(passOn(source(making))),
      },
      { name: "session.pipe", perRun: CHUNKS, run: () => piped(making) },
      { name: "the source alone", perRun: CHUNKS, run: () => drain(source(making)) },
    ],
    goals: { "session.pipe": { ratio: 1.03 } },
  };
}

async function piped(making: boolean): Promise<void> {
  const session = guard.open();
  await drain(session.pipe(source(making)));
  await session.close();
}
