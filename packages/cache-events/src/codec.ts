/** How an entry is written in a store. */
export interface Codec {
  /** @throws whatever the serializer throws. */
  encode(value: unknown, expires: number | undefined): string | Promise<string>;
  /** @throws whatever the serializer throws. */
  decode(raw: string): unknown;
}

export const jsonCodec: Codec = {
  encode: (value) => JSON.stringify(value),
  decode: (raw) => JSON.parse(raw) as unknown,
};
