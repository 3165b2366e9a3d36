/** The limit that a server named in its refusal, as `maxItems` of the error; undefined if it named none of use. */
export function sizeHintOf(error: unknown, refusedSize: number): number | undefined {
  try {
    const { maxItems } = Object(error) as Readonly<Record<string, unknown>>;
    if (typeof maxItems !== "number" || !(maxItems >= 1 && maxItems < refusedSize))
      return undefined;
    return Math.floor(maxItems);
  } catch {
    return undefined;
  }
}
