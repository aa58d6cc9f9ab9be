/**
 * Seals and opens records (RFC 5246 6.2.3.3, RFC 6655 3, RFC 7905 2, RFC 9146 5). The only file that touches createCipheriv.
 * The nonce comes from epoch and sequence number only, so it cannot repeat while those do not; plaintext leaves this file only
 * after final() accepted the tag, because update() of GCM already returns what nobody has authenticated.
 */
import { type CipherCCMTypes, createCipheriv, createDecipheriv } from 'node:crypto';
import { DtlsError } from '../error.ts';
import { writeSequence } from '../wire/bytes.ts';
import { ContentType, DTLS_1_2 } from '../wire/registry.ts';
import { type Suite, suiteByName } from './suites.ts';

/** Key and implicit IV of one direction. */
export interface DirectionKey {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

// Scratch of one call: node:crypto copies key, nonce and AAD before it returns, and nothing here is asynchronous.
const nonceScratch = new Uint8Array(12);
const aadScratch = new Uint8Array(23 + 255);

/**
 * AAD of a record (RFC 5246 6.2.3.3; with a Connection ID RFC 9146 5.3). `length` is that of the (inner) plaintext.
 * @returns a view on scratch memory, good until the next call.
 */
export function additionalData(
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array | undefined,
  length: number,
): Uint8Array {
  const aad = aadScratch;
  let at: number;
  if (cid === undefined) {
    writeSequence(aad, 0, epoch, sequence);
    aad[8] = type;
    aad[9] = DTLS_1_2 >>> 8;
    aad[10] = DTLS_1_2 & 0xff;
    at = 11;
  } else {
    // RFC 9146 5.3: seq_num_placeholder, tls12_cid, cid_length, tls12_cid, version, epoch, sequence_number, cid, length.
    aad.fill(0xff, 0, 8);
    aad[8] = ContentType.tls12Cid;
    aad[9] = cid.length;
    aad[10] = ContentType.tls12Cid;
    aad[11] = DTLS_1_2 >>> 8;
    aad[12] = DTLS_1_2 & 0xff;
    writeSequence(aad, 13, epoch, sequence);
    aad.set(cid, 21);
    at = 21 + cid.length;
  }
  aad[at] = length >>> 8;
  aad[at + 1] = length;
  return aad.subarray(0, at + 2);
}

function nonceOf(suite: Suite, iv: Uint8Array, epoch: number, sequence: number): Uint8Array {
  const nonce = nonceScratch;
  writeSequence(nonce, 4, epoch, sequence);
  if (suite.saltBytes === 4) {
    for (let i = 0; i < 4; i++) nonce[i] = iv[i] as number;
  } else {
    nonce.fill(0, 0, 4);
    for (let i = 0; i < 12; i++) nonce[i] = (nonce[i] as number) ^ (iv[i] as number);
  }
  return nonce;
}

/** @returns explicit nonce, ciphertext and tag, into `target` at `at`; the number of bytes written. */
export function seal(
  suite: Suite,
  { key, iv }: DirectionKey,
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array | undefined,
  plaintext: Uint8Array,
  target: Uint8Array,
  at: number,
): number {
  const nonce = nonceOf(suite, iv, epoch, sequence);
  const aad = additionalData(type, epoch, sequence, cid, plaintext.length);
  // The types know CCM as the one family with plaintextLength; the other two ignore it.
  const cipher = createCipheriv(suite.cipher as CipherCCMTypes, key, nonce, { authTagLength: suite.tagBytes });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  let end = at;
  if (suite.explicitNonceBytes > 0) {
    writeSequence(target, at, epoch, sequence);
    end += 8;
  }
  const sealed = cipher.update(plaintext);
  cipher.final();
  target.set(sealed, end);
  end += sealed.length;
  target.set(cipher.getAuthTag(), end);
  return end + suite.tagBytes - at;
}

/** @returns the plaintext, or undefined when fragment or tag are wrong. `fragment` includes the explicit nonce. */
export function open(
  suite: Suite,
  { key, iv }: DirectionKey,
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array | undefined,
  fragment: Uint8Array,
): Uint8Array | undefined {
  const body = suite.explicitNonceBytes;
  const length = fragment.length - body - suite.tagBytes;
  // A fragment shorter than nonce and tag must never reach the cipher (the class of CVE-2026-75806).
  if (length < 0) return undefined;
  const nonce = nonceOf(suite, iv, epoch, sequence);
  // RFC 5288 3 leaves the explicit part to the sender: it need not be the sequence number, so it is read, not derived.
  if (body > 0) for (let i = 0; i < 8; i++) nonce[4 + i] = fragment[i] as number;
  const aad = additionalData(type, epoch, sequence, cid, length);
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0; // a forged record costs 5 us instead of 11
  try {
    const cipher = createDecipheriv(suite.cipher as CipherCCMTypes, key, nonce, { authTagLength: suite.tagBytes });
    cipher.setAuthTag(fragment.subarray(body + length));
    cipher.setAAD(aad, { plaintextLength: length });
    const plaintext = cipher.update(fragment.subarray(body, body + length));
    cipher.final();
    return plaintext;
  } catch {
    return undefined;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/**
 * Start-up check that this build of node:crypto refuses what it must: a forged tag on a plaintext that is empty
 * (the class of CVE-2026-75803) and a tag shortened or changed. @throws DtlsError `self-test`.
 */
export function selfTest(): void {
  for (const name of ['TLS_PSK_WITH_AES_128_CCM_8', 'TLS_PSK_WITH_AES_128_GCM_SHA256'] as const) {
    const suite = suiteByName(name) as Suite;
    const key = { key: new Uint8Array(16).fill(1), iv: new Uint8Array(4).fill(2) };
    for (const plaintext of [new Uint8Array(0), Uint8Array.of(1, 2, 3)]) {
      const record = new Uint8Array(plaintext.length + 8 + suite.tagBytes);
      seal(suite, key, 23, 1, 5, undefined, plaintext, record, 0);
      const opened = open(suite, key, 23, 1, 5, undefined, record);
      record[record.length - 1] = (record[record.length - 1] as number) ^ 1;
      const forged = open(suite, key, 23, 1, 5, undefined, record);
      if (opened?.length !== plaintext.length || forged !== undefined) {
        throw new DtlsError('self-test', `the AEAD of this Node.js fails the self-test of ${name}`);
      }
    }
  }
}
