/** What an adapter needs between the first message of a stream and its first write, on an idle machine. */
const START_MS = 20;
/** The same in turns of the event loop, which is what counts when each of them takes long. */
const START_TURNS = 20;

/** Calls back when an adapter that has just been given a message would have written it, if it were to. */
export function afterAdapterStart(callback: () => void): void {
  setTimeout(() => {
    afterTurns(START_TURNS, callback);
  }, START_MS).unref();
}

function afterTurns(turns: number, callback: () => void): void {
  if (turns === 0) callback();
  else
    setImmediate(() => {
      afterTurns(turns - 1, callback);
    });
}
