/**
 * Paths as they may stand in the ledger and in logs. Words stay, so that an operator can read what was asked for; whatever
 * could be a serial number, a name or a secret becomes `~` and eight characters of a keyed digest: the same each time, so
 * that two lines about the same thing can still be seen to be.
 */
import { inspect } from 'node:util';
import { KeyedDigest } from './keyed-digest.ts';
import type { PrivacyKeys } from './keys.ts';

export interface Redaction {
  /** Path words of the configuration. */
  readonly literals: ReadonlySet<string>;
  /** Other segments that may stand in clear: ids of registered devices. */
  isKnownSegment(segment: string): boolean;
}

/** Longest redacted path in characters. It also bounds the work: no more digests are made than fit. */
const MAX_LENGTH = 256;
const CUT = '/...';
const DIGEST_LENGTH = 8;
/** Lowercase words with single inner hyphens or underscores, and versions such as v1. */
const WORD = /^(?:[a-z]+(?:[-_][a-z]+)*|v\d{1,2})$/;
const MAX_WORD = 24;
/** Longest segment of the configuration or registry that stays. */
const MAX_SEGMENT = 128;

export class PathRedactor {
  readonly #hmac: KeyedDigest;
  readonly #redaction: Redaction;

  constructor(keys: PrivacyKeys, redaction: Redaction) {
    this.#hmac = new KeyedDigest(keys.active.derive('redaction', 32));
    this.#redaction = redaction;
  }

  /** Never throws, whatever the path is. */
  redact(path: string): string {
    let redacted = '';
    let start = path.startsWith('/') ? 1 : 0;
    while (start <= path.length) {
      const slash = path.indexOf('/', start);
      const end = slash < 0 ? path.length : slash;
      const segment = this.#segment(path.slice(start, end));
      if (redacted.length + 1 + segment.length > MAX_LENGTH - CUT.length) return redacted + CUT;
      redacted += `/${segment}`;
      start = end + 1;
    }
    return redacted;
  }

  #segment(segment: string): string {
    const isShort = segment.length <= MAX_SEGMENT;
    if (segment === '' || (segment.length <= MAX_WORD && WORD.test(segment))) return segment;
    if (isShort && (this.#redaction.literals.has(segment) || this.#redaction.isKnownSegment(segment))) return segment;
    return `~${this.#hmac.digest128(segment).slice(0, DIGEST_LENGTH)}`;
  }

  [inspect.custom](): string {
    return 'PathRedactor [redacted]';
  }
}
