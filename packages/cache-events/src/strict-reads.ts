import type { Host } from "./host.ts";
import type { NearTier } from "./near-tier.ts";
import type { StoreLink } from "./store-link.ts";
import type { FenceValues, StrictFences } from "./strict-fences.ts";
import type { Ask, Look, StrictStore } from "./strict-store.ts";

export interface BegunLook extends Look {
  /** The near tier's sequence before the store was asked. */
  readonly begun: number;
}

interface Asking {
  readonly ask: Ask;
  readonly begun: number;
  readonly looked: PromiseWithResolvers<BegunLook | undefined>;
}

/** Of entries and fences, in one read of the store; a read that names more tags goes alone. */
const maxKeys = 2_000;
const ownFences = 4;

/** What a read asks the store, together with those that begin in the same call, and what it keeps of the answer. */
export class StrictReads {
  readonly #host: Host;
  readonly #link: StoreLink;
  readonly #fences: StrictFences;
  readonly #store: StrictStore;
  readonly #near: NearTier | undefined;
  #gathered: Asking[] | undefined;

  constructor(
    host: Host,
    link: StoreLink,
    fences: StrictFences,
    store: StrictStore,
    near: NearTier | undefined,
  ) {
    this.#host = host;
    this.#link = link;
    this.#fences = fences;
    this.#store = store;
    this.#near = near;
  }

  /** `undefined` when the store cannot be asked. */
  async look(ask: Ask): Promise<BegunLook | undefined> {
    if (!this.#link.admits()) return undefined;
    const begun = this.#near?.seq ?? 0;
    const asking = { ask, begun, looked: Promise.withResolvers<BegunLook | undefined>() };
    if (this.#gathered === undefined) void this.#ask([asking]);
    else this.#gathered.push(asking);
    return asking.looked.promise;
  }

  /** The looks that begin while `run` runs go to the store in as few calls as their number allows. */
  together<T>(run: () => T): T {
    if (this.#gathered !== undefined) return run();
    const gathered: Asking[] = [];
    this.#gathered = gathered;
    try {
      return run();
    } finally {
      this.#gathered = undefined;
      for (const batch of batchesOf(gathered)) void this.#ask(batch);
    }
  }

  /** Gives the fences that were absent a value; `undefined` when the store fails. */
  async ensure(look: Look): Promise<FenceValues | undefined> {
    try {
      return await this.#fences.ensure(look.observed);
    } catch (error) {
      this.#host.storeFailed("write", error);
      return undefined;
    }
  }

  async #ask(batch: readonly Asking[]): Promise<void> {
    try {
      const looks = await this.#store.look(batch.map(({ ask }) => ask));
      for (const [index, { ask, begun, looked }] of batch.entries()) {
        const look = looks[index];
        if (look !== undefined) this.#keep(ask, look, begun);
        looked.resolve(look && { ...look, begun });
      }
    } catch (error) {
      this.#host.storeFailed("read", error);
      for (const { looked } of batch) looked.resolve(undefined);
    }
  }

  #keep({ key, namespace }: Ask, { kept, reason }: Look, begun: number): void {
    if (kept === undefined) {
      // What is merely too old for this reader may do for another.
      if (reason !== "expired") this.#near?.drop(key, namespace);
    } else if (!this.#host.bypassed) this.#near?.put(key, namespace, kept, begun);
  }
}

function* batchesOf(gathered: readonly Asking[]): Generator<readonly Asking[]> {
  let batch: Asking[] = [];
  let keys = 0;
  for (const asking of gathered) {
    const more = 1 + ownFences + asking.ask.tags.length;
    if (batch.length > 0 && keys + more > maxKeys) {
      yield batch;
      batch = [];
      keys = 0;
    }
    batch.push(asking);
    keys += more;
  }
  if (batch.length > 0) yield batch;
}
