import { BlockList, isIP } from "node:net";

/**
 * IPv4: the special-purpose registry of IANA (RFC 6890), multicast, and the platform address of Azure,
 * which answers from a public range.
 */
const IPV4_SPECIAL = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];

/**
 * IPv6: only global unicast, 2000::/3, can be public, which leaves out loopback, link-local, unique local,
 * multicast, IPv4-mapped and NAT64 addresses; within it, the special-purpose registry of IANA.
 */
const IPV6_SPECIAL = [
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "2620:4f:8000::/48",
  "3ffe::/16",
  "3fff::/20",
];

const special = blockList(IPV4_SPECIAL, "ipv4");
const specialIpv6 = blockList(IPV6_SPECIAL, "ipv6");
const globalUnicast = blockList(["2000::/3"], "ipv6");

/** True for an IPv4 or IPv6 address of the public Internet; false for everything else, names included. */
export function publicAddressesOnly(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, "ipv4");
    case 6:
      // A zone ("fe80::1%eth0") only makes sense on a local link.
      return (
        !address.includes("%") &&
        globalUnicast.check(address, "ipv6") &&
        !specialIpv6.check(address, "ipv6")
      );
    default:
      return false;
  }
}

function blockList(subnets: readonly string[], family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", prefix] = subnet.split("/");
    list.addSubnet(network, Number(prefix), family);
  }
  return list;
}
