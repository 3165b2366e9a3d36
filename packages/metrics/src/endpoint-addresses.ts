import { isIP } from "node:net";

/** A value for each of the `max` addresses heard of last. */
export class AddressTable<Value> {
  readonly #max: number;
  readonly #values = new Map<string, Value>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#values.size;
  }

  get(address: string): Value | undefined {
    return this.#values.get(address);
  }

  /** Makes this address the last one heard of, and forgets the one that was silent for longest when there are too many. */
  set(address: string, value: Value): void {
    this.#values.delete(address);
    this.#values.set(address, value);
    if (this.#values.size <= this.#max) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}

/** One caller as far as can be told: an IPv4 address, mapped or not, or the /64 network that one IPv6 host has to itself. */
export function callerOf(address: string | undefined = ""): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const before = groups(head);
  const after = groups(tail ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}

function groups(text: string): readonly string[] {
  return text === "" ? [] : text.split(":");
}
