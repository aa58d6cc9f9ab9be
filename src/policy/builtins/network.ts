/** IP networks as Go's net package reads them: no zones, no leading zeros, IPv4-mapped IPv6 is IPv4 when it is compared. */
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, RegoObject, RegoSet, type Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { textAt, undefinedResult } from './operands.ts';

/** An address of 32 or 128 bits. */
interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

interface Network extends Address {
  /** Length of the prefix; `value` has zeros below it. */
  readonly prefix: number;
}

const MAPPED = 0xffffn << 32n;
const LOW_32 = (1n << 32n) - 1n;

function ipv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** RFC 4291 section 2.2. */
function ipv6(text: string): bigint | undefined {
  if (!text.includes(':')) return undefined;
  let head = text;
  let tail: bigint[] = [];
  const lastColon = text.lastIndexOf(':');
  if (text.includes('.')) {
    const embedded = ipv4(text.slice(lastColon + 1));
    if (embedded === undefined) return undefined;
    tail = [embedded >> 16n, embedded & 0xffffn];
    // Keeps the second colon of a `::` that stands directly before the IPv4 part.
    head = text[lastColon - 1] === ':' ? text.slice(0, lastColon + 1) : text.slice(0, lastColon);
  }
  const halves = head.split('::');
  if (halves.length > 2) return undefined;
  const before = groups(halves[0] as string);
  const after = halves.length === 2 ? groups(halves[1] as string) : [];
  if (before === undefined || after === undefined) return undefined;
  const given = before.length + after.length + tail.length;
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined;
  const zeros = Array.from({ length: 8 - given }, () => 0n);
  return [...before, ...zeros, ...after, ...tail].reduce((value, group) => (value << 16n) | group, 0n);
}

function groups(text: string): bigint[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  return parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part)) ? parts.map((part) => BigInt(`0x${part}`)) : undefined;
}

function address(text: string): Address | undefined {
  const four = ipv4(text);
  if (four !== undefined) return { bits: 32, value: four };
  const six = ipv6(text);
  return six === undefined ? undefined : { bits: 128, value: six };
}

function network(text: string): Network | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const base = address(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (base === undefined || !/^[0-9]+$/.test(length) || Number(length) > base.bits) return undefined;
  const prefix = Number(length);
  const host = BigInt(base.bits - prefix);
  return { bits: base.bits, value: (base.value >> host) << host, prefix };
}

/** Go compares a mapped address as IPv4, and a mapped network only if its prefix reaches into the IPv4 part. */
function unmapped(from: Address): Address {
  return from.bits === 128 && from.value >> 32n === MAPPED >> 32n ? { bits: 32, value: from.value & LOW_32 } : from;
}

/** IPNet.Contains. */
function holds(net: Network, ip: Address): boolean {
  const base = unmapped(net);
  const one = unmapped(ip);
  if (base.bits !== one.bits) return false;
  const prefix = base.bits === net.bits ? net.prefix : net.prefix - 96;
  // The mask of a mapped network has 16 bytes; Go takes its last four, or gives up if the first twelve are not all ones.
  if (prefix < 0) return false;
  const host = BigInt(base.bits - prefix);
  return base.value >> host === one.value >> host;
}

function lastOf(net: Network): Address {
  return { bits: net.bits, value: net.value | ((1n << BigInt(net.bits - net.prefix)) - 1n) };
}

function isPlainIpv6(net: Network): boolean {
  return net.bits === 128 && unmapped(net).bits === 128;
}

function containsText(net: Network, text: string): boolean {
  const ip = address(text);
  if (ip !== undefined) return holds(net, ip);
  const inner = network(text) ?? undefinedResult();
  if (isPlainIpv6(net) && isPlainIpv6(inner)) {
    const host = BigInt(128 - net.prefix);
    return net.prefix <= inner.prefix && net.value >> host === inner.value >> host;
  }
  return holds(net, inner) && holds(net, lastOf(inner));
}

export const cidrContains: Builtin = (parameters) => {
  const net = network(textAt(parameters, 0)) ?? undefinedResult();
  return containsText(net, textAt(parameters, 1));
};

export const cidrIntersects: Builtin = (parameters) => {
  const a = network(textAt(parameters, 0)) ?? undefinedResult();
  const b = network(textAt(parameters, 1)) ?? undefinedResult();
  return holds(a, b) || holds(b, a);
};

export const cidrIsValid: Builtin = ([text]) => typeof text === 'string' && network(text) !== undefined;

/** The pairs of index and index for which the first contains the second. */
export const cidrContainsMatches: Builtin = (parameters) => {
  const found: Value[] = [];
  for (const [cidr, index] of candidates(parameters[0] as Value)) {
    for (const [inner, innerIndex] of candidates(parameters[1] as Value)) {
      if (containsText(network(cidr) ?? undefinedResult(), inner)) found.push([index, innerIndex]);
    }
  }
  return RegoSet.of(found);
};

function candidates(value: Value): (readonly [text: string, index: Value])[] {
  if (typeof value === 'string') return [[value, value]];
  if (value instanceof RegoSet) return value.items.map((item) => [candidate(item), item]);
  if (value instanceof RegoObject) return value.entries.map(([key, item]) => [candidate(item), key]);
  if (Array.isArray(value)) return value.map((item: Value, at) => [candidate(item), RegoNumber.of(at)]);
  throw new PolicyAbort('net.cidr_contains_matches: an operand that holds no networks.');
}

function candidate(value: Value): string {
  const first = Array.isArray(value) ? (value[0] as Value | undefined) : value;
  return typeof first === 'string' ? first : undefinedResult();
}
