/**
 * The pseudorandom function and what is derived with it: master secret, key block, Finished, exporter
 * (RFC 5246 5, 6.3, 7.4.9, 8.1; RFC 7627 4; RFC 5705 4).
 */
import { concat, u16 } from '../wire/bytes.ts';
import { type HashName, hmac } from './digest.ts';

/** Same as the length of the verify_data of every suite we have (RFC 5246 7.4.9). */
export const VERIFY_DATA_BYTES = 12;
export const MASTER_SECRET_BYTES = 48;

/** PRF(secret, label, seed) = P_hash(secret, label + seed). */
export function prf(name: HashName, secret: Uint8Array, label: string, seed: Uint8Array, length: number): Uint8Array {
  const labelAndSeed = concat(new TextEncoder().encode(label), seed);
  const output = new Uint8Array(length);
  let a = hmac(name, secret, labelAndSeed);
  for (let at = 0; at < length; ) {
    const block = hmac(name, secret, a, labelAndSeed);
    output.set(block.subarray(0, length - at), at);
    at += block.length;
    a = hmac(name, secret, a);
  }
  return output;
}

/** RFC 7627 4: with the session hash as seed; RFC 5246 8.1: with both randoms. */
export function masterSecret(name: HashName, premaster: Uint8Array, extended: boolean, seed: Uint8Array): Uint8Array {
  return prf(name, premaster, extended ? 'extended master secret' : 'master secret', seed, MASTER_SECRET_BYTES);
}

/** RFC 5246 6.3: note that the server's random comes first here. */
export function keyBlock(
  name: HashName,
  master: Uint8Array,
  clientRandom: Uint8Array,
  serverRandom: Uint8Array,
  length: number,
): Uint8Array {
  return prf(name, master, 'key expansion', concat(serverRandom, clientRandom), length);
}

/** verify_data over the hash of the transcript so far. */
export function verifyData(
  name: HashName,
  master: Uint8Array,
  sender: 'client' | 'server',
  transcriptHash: Uint8Array,
): Uint8Array {
  return prf(name, master, `${sender} finished`, transcriptHash, VERIFY_DATA_BYTES);
}

/** Labels that belong to the protocol itself and are never exported (RFC 5705 4). */
const RESERVED = ['client finished', 'server finished', 'master secret', 'extended master secret', 'key expansion'];

/** RFC 5705 4. Undefined for a label of the protocol itself or a context too long. */
export function exporter(
  name: HashName,
  master: Uint8Array,
  clientRandom: Uint8Array,
  serverRandom: Uint8Array,
  label: string,
  context: Uint8Array | undefined,
  length: number,
): Uint8Array | undefined {
  if (RESERVED.includes(label) || (context?.length ?? 0) > 0xffff) return undefined;
  const seed = concat(clientRandom, serverRandom, ...(context === undefined ? [] : [u16(context.length), context]));
  return prf(name, master, label, seed, length);
}
