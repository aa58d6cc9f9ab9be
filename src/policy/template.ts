/**
 * Path templates of routes and reaches: literal segments, `{device.id}`, `*` for one segment and `**` for the rest. The
 * decision itself is made in policies/sallyport/gate/path.rego; this file says the same in TypeScript for those who
 * prepare its data and for those who explain its denials.
 */

export type Part =
  | { readonly kind: 'literal'; readonly text: string }
  /** The sender's own id. */
  | { readonly kind: 'own' }
  /** One segment, not empty. */
  | { readonly kind: 'any' }
  /** One segment or more, last only. */
  | { readonly kind: 'rest' };

/** The segments of a template, the empty one before its leading slash included: positions are those of the split path. */
export function templateParts(template: string): readonly Part[] {
  return template.split('/').map((text): Part => {
    if (text === '{device.id}') return { kind: 'own' };
    if (text === '*') return { kind: 'any' };
    return text === '**' ? { kind: 'rest' } : { kind: 'literal', text };
  });
}

const SPECIFICITY: Readonly<Record<Part['kind'], number>> = { literal: 0, own: 1, any: 2, rest: 3 };

export interface Action {
  readonly verb: string;
  readonly path: string;
}

/**
 * Orders actions so that of all that match one message the first is the one meant most precisely: from left to right a
 * literal segment before `{device.id}` before `*` before `**`, then a named method before `*`.
 */
export function bySpecificity(a: Action, b: Action): number {
  const left = templateParts(a.path);
  const right = templateParts(b.path);
  for (let position = 0; position < Math.min(left.length, right.length); position++) {
    const difference = SPECIFICITY[left[position]!.kind] - SPECIFICITY[right[position]!.kind];
    if (difference !== 0) return difference;
  }
  // Two that begin alike and differ in length never match the same path. They are told apart all the same: a sort needs
  // an order in which every three agree, or it misplaces others beside them.
  if (left.length !== right.length) return left.length - right.length;
  return Number(a.verb === '*') - Number(b.verb === '*');
}

/** True if `template` matches the raw path of a message that the device `id` sent. */
export function matchesTemplate(template: string, path: string, id: string): boolean {
  const parts = templateParts(template);
  const segments = path.split('/');
  const open = parts.at(-1)?.kind === 'rest';
  if (open ? segments.length < parts.length : segments.length !== parts.length) return false;
  const wild = parts.some(({ kind }) => kind === 'any' || kind === 'rest');
  if (wild && isAmbiguous(path)) return false;
  return parts.every((part, position) => {
    const segment = segments[position];
    if (part.kind === 'literal') return segment === part.text;
    if (part.kind === 'own') return segment === id;
    return part.kind === 'rest' || segment !== '';
  });
}

/** True if the verb of a route or reach covers the verb of a message. A WebSocket is never covered by "any method". */
export function coversVerb(routeVerb: string, verb: string): boolean {
  return routeVerb === verb || (routeVerb === '*' && verb !== 'WS');
}

/** Encoded dot, slash, backslash, percent sign and NUL; a raw backslash; an empty segment; dot segments with parameters. */
const TRICKS = ['%2e', '%2f', '%5c', '%25', '%00', '\\', '//', '/.;', '/..;'];

/** True for a path that a server behind us might read as another one. Wildcards never match it. */
export function isAmbiguous(path: string): boolean {
  const lowered = path.toLowerCase();
  if (TRICKS.some((trick) => lowered.includes(trick))) return true;
  return path.split('/').some((segment) => segment === '.' || segment === '..');
}

/** What a template may spell out: unreserved characters of RFC 3986 and punctuation that needs no encoding. */
const LITERAL = /^[A-Za-z0-9._~:@!$&'()+,;=-]{1,128}$/;
/** What stands in the ledger for a path segment that is no plain word: `~` and a digest. */
const REDACTED = /^~[A-Za-z0-9_-]{8}$/;
/** Stands at the end of a path that was too long for the ledger. */
const CUT = '...';

/** True if the ledger hides what stood in this path segment. */
export function isRedacted(segment: string): boolean {
  return REDACTED.test(segment);
}

/**
 * The narrowest template that matches this path of the device `id`: what a template cannot spell out becomes `*`, what the
 * ledger cut off `**`. Undefined if no template matches it.
 */
export function narrowestTemplate(path: string, id: string): string | undefined {
  if (!path.startsWith('/')) return undefined;
  const template = path
    .split('/')
    .map((segment, position, { length }) => {
      if (segment === id) return '{device.id}';
      if (segment === '' && (position === 0 || position === length - 1)) return '';
      if (segment === CUT && position === length - 1) return '**';
      const literal = LITERAL.test(segment) && segment !== '.' && segment !== '..' && !isRedacted(segment);
      // A first segment with ~ names a device; as a literal it is refused.
      return literal && !(position === 1 && segment.startsWith('~')) ? segment : '*';
    })
    .join('/');
  return matchesTemplate(template, path, id) ? template : undefined;
}
