/** Envoy's defaults: how often, with how many upstreams and requests of each, how far below the mean. */
const INTERVAL_MS = 10_000;
const MIN_UPSTREAMS = 5;
const MIN_REQUESTS = 100;
const DEVIATIONS = 1.9;

interface Counted {
  recent: { successes: number; failures: number };
}

/**
 * Envoy's success rate ejection: an upstream whose success rate within an interval is more than 1.9 standard
 * deviations below the mean of all is an outlier.
 */
export class SuccessRates {
  #since: number;

  constructor(nowMs: number) {
    this.#since = nowMs;
  }

  /** Empty but for the first call after each interval, which starts the next one. */
  outliers<C extends Counted>(nowMs: number, members: readonly C[]): C[] {
    if (nowMs - this.#since < INTERVAL_MS) return [];
    this.#since = nowMs;
    const rated = members
      .map((member) => ({ member, ...member.recent }))
      .filter(({ successes, failures }) => successes + failures >= MIN_REQUESTS)
      .map(({ member, successes, failures }) => {
        return { member, rate: successes / (successes + failures) };
      });
    for (const member of members) member.recent = { successes: 0, failures: 0 };
    if (rated.length < MIN_UPSTREAMS) return [];
    const mean = meanOf(rated.map(({ rate }) => rate));
    const deviation = Math.sqrt(meanOf(rated.map(({ rate }) => (rate - mean) ** 2)));
    const limit = mean - DEVIATIONS * deviation;
    return rated.filter(({ rate }) => rate < limit).map(({ member }) => member);
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
