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
  /** Decoded words of the rules: the segment after one is disguised when it leaves, so here it never stands in clear. */
  readonly disguisedAfter?: ReadonlySet<string>;
}

/** Longest redacted path in characters. It also bounds the work: no more digests are made than fit. */
const MAX_LENGTH = 256;
const CUT = '/...';
const DIGEST_LENGTH = 8;
/** One lowercase word of up to 24 letters, or a version such as v1. Two words with a hyphen are many a person's name. */
const WORD = /^(?:[a-z]{1,24}|v\d{1,2})$/;
/** Longest segment of the configuration or registry that stays. */
const MAX_SEGMENT = 128;

export class PathRedactor {
  readonly #hmac: KeyedDigest;
  readonly #redaction: Redaction;
  readonly #disguisedAfter: ReadonlySet<string>;

  constructor(keys: PrivacyKeys, redaction: Redaction) {
    this.#hmac = new KeyedDigest(keys.active.derive('redaction', 32));
    this.#redaction = redaction;
    this.#disguisedAfter = new Set([...(redaction.disguisedAfter ?? [])].map((word) => word.toLowerCase()));
  }

  /** Never throws, whatever the path is. */
  redact(path: string): string {
    let redacted = '';
    let isDisguised = false;
    let start = path.startsWith('/') ? 1 : 0;
    while (start <= path.length) {
      const slash = path.indexOf('/', start);
      const end = slash < 0 ? path.length : slash;
      const raw = path.slice(start, end);
      const segment = this.#segment(raw, isDisguised);
      if (redacted.length + 1 + segment.length > MAX_LENGTH - CUT.length) return redacted + CUT;
      redacted += `/${segment}`;
      // An empty segment in between must not bring the next one into the clear.
      if (raw !== '') isDisguised = this.#disguisedAfter.has(decoded(raw).toLowerCase());
      start = end + 1;
    }
    return redacted;
  }

  #segment(segment: string, isDisguised: boolean): string {
    if (segment === '' || (!isDisguised && this.#mayStand(segment))) return segment;
    return `~${this.#hmac.digest128(segment).slice(0, DIGEST_LENGTH)}`;
  }

  #mayStand(segment: string): boolean {
    if (WORD.test(segment)) return true;
    const { literals } = this.#redaction;
    return segment.length <= MAX_SEGMENT && (literals.has(segment) || this.#redaction.isKnownSegment(segment));
  }

  [inspect.custom](): string {
    return 'PathRedactor [redacted]';
  }
}

/** As the rule reads it (path.ts); what does not decode is refused there and nothing more than itself here. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
