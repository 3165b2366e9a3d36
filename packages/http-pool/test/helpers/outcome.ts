/** The error that a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("expected a rejection");
}

export async function text(response: Promise<Response>): Promise<string> {
  return (await response).text();
}

/** The rejection of a body of which the first part has arrived. */
export async function brokenAfterFirst(response: Promise<Response>): Promise<Promise<Error>[]> {
  const reader = (await response).body?.getReader();
  await reader?.read();
  return [rejection(reader?.read() ?? Promise.resolve())];
}

/** Resolves when `event` of `emitter` came `count` times. */
export function times(
  emitter: { on(event: string, listener: () => void): unknown },
  event: string,
  count: number,
): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    emitter.on(event, () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
}
