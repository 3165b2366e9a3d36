/** What a race hands to the rivals: where Redis listens, when it is shared. */
export interface RivalData {
  readonly redisPort?: number;
}

export function redisPortOf(data: unknown): number | undefined {
  return (data as RivalData | undefined)?.redisPort;
}
