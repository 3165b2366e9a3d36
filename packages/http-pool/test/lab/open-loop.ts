/** What became of the requests of a load. */
export interface LoadResult {
  readonly sent: number;
  readonly ok: number;
  readonly errors: readonly string[];
  /** Of those that went well, in ascending order. */
  readonly latenciesMs: readonly number[];
}

/**
 * Sends `ratePerSecond` requests for `durationMs` however long the answers take, so that an upstream that
 * stands still cannot hide what it costs.
 */
export async function openLoop(
  request: () => Promise<Response>,
  ratePerSecond: number,
  durationMs: number,
): Promise<LoadResult> {
  const startedAt = performance.now();
  const latenciesMs: number[] = [];
  const errors: string[] = [];
  const running: Promise<void>[] = [];
  const send = async (): Promise<void> => {
    const sentAt = performance.now();
    try {
      const response = await request();
      await response.text();
      if (response.ok) latenciesMs.push(performance.now() - sentAt);
      else errors.push(`status ${response.status}`);
    } catch (error) {
      errors.push((error as { code?: string }).code ?? String(error));
    }
  };
  for (;;) {
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs >= durationMs) break;
    const due = Math.floor((elapsedMs / 1000) * ratePerSecond);
    while (running.length < due) running.push(send());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(running);
  latenciesMs.sort((a, b) => a - b);
  return { sent: running.length, ok: latenciesMs.length, errors, latenciesMs };
}

export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
