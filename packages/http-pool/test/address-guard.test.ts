import * as fc from "fast-check";
import { expect, test } from "vitest";
import { publicAddressesOnly } from "../src/index.ts";

const PUBLIC = [
  "1.1.1.1",
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "169.253.255.255",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.0",
  "192.167.255.255",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
  "2001:200::1",
  "2001:4860:4860::8888",
  "2606:4700:4700::1111",
  "2a00:1450:4001:810::200e",
  "3ff0::1",
];

const SPECIAL = [
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "100.100.100.200",
  "127.0.0.1",
  "127.255.255.255",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.0.2.1",
  "192.31.196.1",
  "192.52.193.1",
  "192.88.99.1",
  "192.168.1.1",
  "192.175.48.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.1",
  "203.0.113.1",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "::ffff:7f00:1",
  "::127.0.0.1",
  "64:ff9b::7f00:1",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:2::1",
  "2001:10::1",
  "2001:20::1",
  "2001:db8::1",
  "2002:7f00:1::1",
  "2620:4f:8000::1",
  "3fff::1",
  "5f00::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "2606:4700:4700::1111%eth0",
  "fec0::1",
  "ff02::1",
];

test.each(PUBLIC)("%s is public", (address) => {
  expect(publicAddressesOnly(address)).toBe(true);
});

test.each(SPECIAL)("%s is not public", (address) => {
  expect(publicAddressesOnly(address)).toBe(false);
});

test.each(["", "localhost", "example.com", "127.1", "0x7f000001", "2130706433", "1.1.1.1:80"])(
  "%j is not an address, and so not public",
  (address) => {
    expect(publicAddressesOnly(address)).toBe(false);
  },
);

test("no address of a private network is public, however it is written", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const network = fc.constantFrom("10", "127", "0", "192.168", "169.254", "172.16", "172.31");
  fc.assert(
    fc.property(network, octet, octet, octet, (prefix, a, b, c) => {
      const address = [...prefix.split("."), a, b, c].slice(0, 4).join(".");
      const hex = address
        .split(".")
        .map((part) => Number(part).toString(16).padStart(2, "0"))
        .join("");
      const groups = `${hex.slice(0, 4)}:${hex.slice(4)}`;
      expect(publicAddressesOnly(address)).toBe(false);
      expect(publicAddressesOnly(`::ffff:${address}`)).toBe(false);
      expect(publicAddressesOnly(`::ffff:${groups}`)).toBe(false);
      expect(publicAddressesOnly(`64:ff9b::${groups}`)).toBe(false);
      expect(publicAddressesOnly(`2002:${groups}::1`)).toBe(false);
    }),
  );
});
