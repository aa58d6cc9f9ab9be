/**
 * Values that exist nowhere else, and a search for them that knows every way they could have been written. All canaries of a
 * kind begin alike, so that one search finds any of them.
 */
import { createHash } from 'node:crypto';

/**
 * secret: may be nowhere but in what the sender itself is told. kept: may reach the cloud, and nothing else. label: what an
 * operator wrote about a device; may be in the registry and in what shows it.
 */
export const MARKS = { secret: 'Zq7xSecretZ', kept: 'Zq7xKeptKZ', label: 'Zq7xLabelZ' } as const;
export type Kind = keyof typeof MARKS;

export const ENCODINGS = ['plain', 'percent', 'base64', 'hex', 'unicode', 'upper', 'lower'] as const;
export type Encoding = (typeof ENCODINGS)[number];

export class Canaries {
  readonly values: string[] = [];
  /** Each as it was planted: it is that text of which a digest would be made. */
  readonly forms = new Set<string>();
  readonly #next: () => number;

  /** @param next random from 0 to below 1 */
  constructor(next: () => number) {
    this.#next = next;
  }

  /** A new one. */
  mint(kind: Kind = 'secret'): string {
    const tail = Math.floor(this.#next() * 2 ** 48).toString(36);
    const value = `${MARKS[kind]}${this.values.length}x${tail}`;
    this.values.push(value);
    this.forms.add(value);
    return value;
  }

  /** A new one as it is planted: in one of the encodings, in turn. Some are no spelling of a text everywhere. */
  planted(place: 'json' | 'path' | 'text' = 'text', kind: Kind = 'secret'): string {
    const encoding = ENCODINGS[this.values.length % ENCODINGS.length] as Encoding;
    // Percent signs in front of letters are refused in paths; escapes of JSON are for JSON.
    const unfit = (encoding === 'unicode' && place !== 'json') || (encoding === 'percent' && place === 'path');
    const form = encoded(this.mint(kind), unfit ? 'plain' : encoding);
    this.forms.add(form);
    return form;
  }
}

export function encoded(value: string, encoding: Encoding): string {
  switch (encoding) {
    case 'plain':
      return value;
    case 'percent':
      return Buffer.from(value).toString('hex').replace(/../g, '%$&');
    case 'base64':
      return Buffer.from(value).toString('base64url');
    case 'hex':
      return Buffer.from(value).toString('hex');
    case 'unicode':
      return Array.from(value, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    case 'upper':
      return value.toUpperCase();
    case 'lower':
      return value.toLowerCase();
  }
}

interface Needle {
  readonly what: string;
  readonly text: string;
  /** Compared without regard to case. */
  readonly folded: boolean;
}

/** Every way the beginning of a canary of this kind could stand in a text or file. */
function needlesFor(kind: Kind): readonly Needle[] {
  const needles: Needle[] = [];
  const mark = MARKS[kind];
  for (const text of [mark, mark.toUpperCase(), mark.toLowerCase()]) {
    needles.push({ what: 'plain', text: text.toLowerCase(), folded: true });
    for (const encoding of ['percent', 'hex', 'unicode'] as const) {
      needles.push({ what: encoding, text: encoded(text, encoding).toLowerCase(), folded: true });
    }
    needles.push({
      what: 'percent twice',
      text: encoded(text, 'percent').replaceAll('%', '%25').toLowerCase(),
      folded: true,
    });
    needles.push({ what: 'reversed', text: [...text.toLowerCase()].reverse().join(''), folded: true });
    needles.push({ what: 'UTF-16', text: Buffer.from(text, 'utf16le').toString('latin1').toLowerCase(), folded: true });
    needles.push({
      what: 'character references',
      text: Array.from(text, (one) => `&#${one.charCodeAt(0)};`).join(''),
      folded: true,
    });
    needles.push({
      what: 'hex with colons',
      text: encoded(text, 'hex')
        .replace(/..(?!$)/g, '$&:')
        .toLowerCase(),
      folded: true,
    });
    for (let offset = 0; offset < 3; offset++) {
      // What of base64 does not depend on the bytes before and behind.
      const whole = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)])
        .toString('base64')
        .replaceAll('=', '');
      const stable = whole.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + text.length) * 8) / 6));
      needles.push({ what: 'base64', text: stable, folded: false });
    }
    const inHex = encoded(text, 'hex');
    for (const written of [inHex, inHex.toUpperCase()]) {
      needles.push({
        what: 'base64 of hex',
        text: Buffer.from(written).toString('base64').slice(0, -4),
        folded: false,
      });
    }
  }
  return needles;
}

const NEEDLES = { secret: needlesFor('secret'), kept: needlesFor('kept'), label: needlesFor('label') };

/** Where canaries of these kinds stand in an output. Empty: nowhere. */
export function findings(output: Buffer | string, kinds: readonly Kind[]): string[] {
  const text = typeof output === 'string' ? Buffer.from(output).toString('latin1') : output.toString('latin1');
  const folded = text.toLowerCase();
  const found: string[] = [];
  for (const kind of kinds) {
    for (const needle of NEEDLES[kind]) {
      const at = (needle.folded ? folded : text).indexOf(needle.text);
      if (at >= 0) found.push(`${kind}, ${needle.what}: …${text.slice(Math.max(0, at - 60), at + 60)}…`);
    }
  }
  return found;
}

/** Texts of which an output holds a digest without key, whole or cut: whoever can guess a value could look it up. */
export function digests(outputs: readonly (Buffer | string)[], texts: Iterable<string>): string[] {
  const words = new Set<string>();
  for (const output of outputs) {
    const text = typeof output === 'string' ? output : output.toString('latin1');
    for (const [word] of text.matchAll(/[0-9a-f]{32,64}|[0-9A-F]{32,64}|[A-Za-z0-9+/_-]{22,44}/g)) words.add(word);
    for (const [, word] of text.matchAll(/~([A-Za-z0-9_-]{8})/g)) words.add(word as string);
  }
  return [...texts].filter((text) =>
    ['md5', 'sha1', 'sha256'].some((name) => formsOf(name, text).some((form) => words.has(form))),
  );
}

function formsOf(algorithm: string, text: string): string[] {
  const digest = createHash(algorithm).update(text).digest();
  const hex = digest.toString('hex');
  const cut = digest.subarray(0, 16);
  return [
    ...[hex, hex.slice(0, 32), digest.toString('base64url'), cut.toString('base64url')],
    ...[digest, cut].map((bytes) => bytes.toString('base64').replaceAll('=', '')),
    digest.toString('base64url').slice(0, 8),
  ].flatMap((form) => [form, form.toUpperCase()]);
}
