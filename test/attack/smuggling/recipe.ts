/**
 * Requests as an attacker writes them: a good one, then up to four mutations out of what has smuggled before (the published
 * families: CL.TE, TE.CL, TE.TE, CL.0, bare LF, chunk extensions, obs-fold, header splitting, target tricks). A recipe is
 * plain numbers, so that a seed or fast-check can choose it, and a failure can be told in one line.
 */

import { BASES, BYTES, CHUNK_ENDS, ENDS, FIELDS, METHODS, SIZES, TAILS, TARGETS, VERSIONS } from './payloads.ts';

/** [which mutation, where as a share of the bytes, which variant] */
export type Mutation = readonly [kind: number, where: number, variant: number];

export interface Recipe {
  readonly base: number;
  readonly mutations: readonly Mutation[];
}

/** Latin-1 text. `mark` names the request, so that what arrives anywhere can be told. */
export function cook({ base, mutations }: Recipe, mark: string): string {
  let text = pick(BASES, base)(mark);
  for (const [kind, where, variant] of mutations) {
    const from = pick(heads(text), variant);
    text = text.slice(0, from) + pick(MUTATIONS, kind)(text.slice(from), where, variant, mark);
  }
  return text;
}

/** Where something begins that looks like a request, be it the first one, a pipelined one or content. */
function heads(text: string): number[] {
  return [
    0,
    ...[...text.matchAll(/(?:GET|POST) \/[!-~]* HTTP\/1\.1\r\n/g)].map(({ index }) => index).filter((at) => at > 0),
  ];
}

/** A recipe from a generator of numbers in [0, 1). */
export function recipeFrom(random: () => number): Recipe {
  const count = Math.floor(random() ** 1.5 * 5);
  return {
    base: Math.floor(random() * BASES.length),
    mutations: Array.from({ length: count }, () => [
      Math.floor(random() * MUTATIONS.length),
      random(),
      Math.floor(random() * 10_000),
    ]),
  };
}

/** mulberry32: the same seed, the same recipes. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MUTATIONS: readonly ((text: string, where: number, variant: number, mark: string) => string)[] = [
  // A field more, somewhere in the head; the most productive one, so several times in the list.
  ...Array.from({ length: 4 }, () => (text: string, where: number, variant: number) => {
    const lines = headLines(text);
    const at = 1 + Math.floor(where * lines.length);
    return joined(text, [...lines.slice(0, at), pick(FIELDS, variant), ...lines.slice(at)]);
  }),
  // A field less, or twice.
  (text, where, variant) => {
    const lines = headLines(text);
    const at = 1 + Math.floor(where * (lines.length - 1));
    lines.splice(at, 1, ...(variant % 2 === 0 ? [] : [lines[at] ?? '', lines[at] ?? '']));
    return joined(text, lines);
  },
  (text, _, variant, mark) =>
    onLine(text, (words) => [words[0] ?? '', pick(TARGETS, variant)(mark), ...words.slice(2)]),
  (text, _, variant) => onLine(text, (words) => [...words.slice(0, 2), pick(VERSIONS, variant)]),
  (text, _, variant) => onLine(text, (words) => [pick(METHODS, variant), ...words.slice(1)]),
  (text, _, variant) =>
    onLine(text, (words) => [words.join(pick(['  ', '\t', ' \t', '\x0b', '\u00a0', '   '], variant))]),
  // Another length than the content has.
  (text, _, variant) =>
    text.replace(/Content-Length: (\d+)/i, (_all, n) => `Content-Length: ${Number(n) + (variant % 21) - 10}`),
  // A chunk's size.
  (text, where, variant) => {
    const sizes = [...text.matchAll(/\r\n([0-9a-f]+)\r\n/g)];
    const size = sizes[Math.floor(where * sizes.length)];
    if (size === undefined) return text;
    return `${text.slice(0, size.index + 2)}${pick(SIZES, variant)}${text.slice(size.index + 2 + (size[1] ?? '').length)}`;
  },
  (text, _, variant) => text.replace('\r\n0\r\n\r\n', `\r\n${pick(CHUNK_ENDS, variant)}`),
  // One line end of another kind.
  (text, where, variant) => {
    const ends = [...text.matchAll(/\r\n/g)];
    const at = ends[Math.floor(where * ends.length)]?.index;
    return at === undefined ? text : `${text.slice(0, at)}${pick(ENDS, variant)}${text.slice(at + 2)}`;
  },
  // One octet more, less, or another.
  (text, where, variant) => {
    const at = Math.floor(where * text.length);
    const removed = variant % 3;
    return `${text.slice(0, at)}${removed === 1 ? '' : pick(BYTES, variant)}${text.slice(at + (removed === 0 ? 0 : 1))}`;
  },
  (text, _, variant, mark) => text + pick(TAILS, variant)(mark),
  (text, where) => text.slice(0, Math.floor(where * text.length)),
];

function headLines(text: string): string[] {
  return text.slice(0, headEnd(text)).split('\r\n');
}

function joined(text: string, lines: readonly string[]): string {
  return lines.join('\r\n') + text.slice(headEnd(text));
}

function headEnd(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? text.length : end;
}

function onLine(text: string, change: (words: string[]) => string[]): string {
  const end = Math.max(text.indexOf('\r\n'), 0);
  return change(text.slice(0, end).split(' ')).join(' ') + text.slice(end);
}

function pick<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}
