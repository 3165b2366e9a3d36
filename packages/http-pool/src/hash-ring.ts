/** Points for a weight of 1: the shares then differ by about a tenth. */
const POINTS = 128;
const MAX_POINTS = 4096;

interface Member {
  /** Its name decides its places, so that every process agrees. */
  readonly upstream: string;
  readonly weight: number;
}

/**
 * Consistent hashing (D. Karger et al., 1997): when a member leaves, only its own keys move; when one comes,
 * keys move to it alone. A look-up is O(log n) while most members are allowed.
 */
export class HashRing<M extends Member> {
  #hashes: Uint32Array = new Uint32Array();
  #owners: M[] = [];

  update(members: readonly M[]): void {
    const points = members.flatMap((owner) => {
      const count = Math.min(MAX_POINTS, Math.max(1, Math.round(owner.weight * POINTS)));
      return Array.from({ length: count }, (_, index) => {
        return { hash: hashOf(`${owner.upstream}#${index}`), owner };
      });
    });
    // The name decides between equal hashes, not the order in which members came.
    points.sort((a, b) => a.hash - b.hash || (a.owner.upstream < b.owner.upstream ? -1 : 1));
    this.#hashes = Uint32Array.from(points, ({ hash }) => hash);
    this.#owners = points.map(({ owner }) => owner);
  }

  /** The first member at or after the key that is allowed. */
  find(key: string, allows: (member: M) => boolean): M | undefined {
    const start = this.#firstAtOrAfter(hashOf(key));
    const refused = new Set<M>();
    for (let step = 0; step < this.#owners.length; step += 1) {
      const owner = this.#owners[(start + step) % this.#owners.length];
      if (owner === undefined || refused.has(owner)) continue;
      if (allows(owner)) return owner;
      refused.add(owner);
    }
    return undefined;
  }

  #firstAtOrAfter(hash: number): number {
    let low = 0;
    let high = this.#hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#hashes[middle] ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** FNV-1a, then the finaliser of MurmurHash3, without which similar keys lie close together. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * The requests that a member may have under way when one more comes: `factor` times its share, rounded up
 * (V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018).
 */
export function loadBound(
  factor: number,
  { weight }: Pick<Member, "weight">,
  total: { readonly pending: number; readonly weight: number },
): number {
  return Math.ceil((factor * (total.pending + 1) * weight) / total.weight);
}
