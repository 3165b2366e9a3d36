/** A cache reduced to what decides its hit ratio. */
export interface Policy {
  /** Reads `key`, adding it when it is absent; tells whether it was a hit. */
  read(key: number): boolean;
}

export interface Contender {
  readonly name: string;
  readonly create: (size: number) => Policy;
}

export function hitPercent(policy: Policy, keys: Uint32Array): number {
  let hits = 0;
  for (const key of keys) if (policy.read(key)) hits++;
  return (100 * hits) / keys.length;
}
