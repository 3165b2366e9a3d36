import type { Dispatcher } from "undici";

/** A request without an answer after so long has failed. */
const PATIENCE_MS = 2000;
/** In flight at a time: beyond it a request fails at once, so that one that never answers cannot fill the memory. */
const MAX_UNDER_WAY = 2000;

export interface Answer {
  /** When it was sent, on the clock of `performance.now`. */
  readonly at: number;
  readonly latencyMs: number;
  /** Of one that failed. */
  readonly error?: string;
}

/** A GET of the root whose answer is read; it never rejects. */
export async function ask(dispatcher: Dispatcher): Promise<Answer> {
  const at = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("no answer"), PATIENCE_MS);
  });
  const error = await Promise.race([get(dispatcher), late]);
  clearTimeout(timer);
  const latencyMs = performance.now() - at;
  return { at, latencyMs, ...(error !== undefined && { error }) };
}

async function get(dispatcher: Dispatcher): Promise<string | undefined> {
  try {
    const { statusCode, body } = await dispatcher.request({ path: "/", method: "GET" });
    await body.dump();
    return statusCode === 200 ? undefined : `status ${statusCode}`;
  } catch (error) {
    const { code, name } = error as Error & { code?: string };
    return code ?? name;
  }
}

/** Sends at a constant rate, whatever comes back; resolves when all have ended. */
export async function openLoop(
  dispatcher: Dispatcher,
  { ratePerSecond, durationMs }: { ratePerSecond: number; durationMs: number },
): Promise<Answer[]> {
  const startedAt = performance.now();
  const answers: Promise<Answer>[] = [];
  let underWay = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsedMs = Math.min(durationMs, performance.now() - startedAt);
      const due = Math.floor((elapsedMs * ratePerSecond) / 1000);
      while (answers.length < due) {
        if (underWay >= MAX_UNDER_WAY) {
          const refused = { at: performance.now(), latencyMs: 0, error: "too many under way" };
          answers.push(Promise.resolve(refused));
          continue;
        }
        underWay += 1;
        const answer = ask(dispatcher);
        void answer.then(() => (underWay -= 1));
        answers.push(answer);
      }
      if (elapsedMs < durationMs) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  return Promise.all(answers);
}
