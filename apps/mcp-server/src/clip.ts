/** At most the first `length` UTF-16 code units; never half of a pair, which is no text. */
export function clip(text: string, length: number): string {
  const clipped = text.slice(0, length);
  return clipped.isWellFormed() ? clipped : clipped.slice(0, -1).toWellFormed();
}
