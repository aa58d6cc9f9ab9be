/**
 * The text of one selector, taken apart. `a.b` names member b of member a; `*` any member; `[*]` any item of an array; `**`
 * any depth; `["a.b"]` a member whose name has other characters than letters, digits, `_`, `-`, `$`, `@` and `:`.
 * Leaves out: positions in arrays, slices and filters; a rule is about what a field is, not where it happens to stand.
 */

export type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'any-member' }
  | { readonly kind: 'any-item' }
  | { readonly kind: 'any-depth' };

/** Longest selector in steps; a JSON payload cannot be deeper than its depth limit anyway. */
const MAX_STEPS = 64;
const ANY_MEMBER: Step = { kind: 'any-member' };
const ANY_ITEM: Step = { kind: 'any-item' };
const ANY_DEPTH: Step = { kind: 'any-depth' };

/** The steps of a selector, or why it is none. */
export function parseSelector(selector: string): readonly Step[] | string {
  const steps: Step[] = [];
  let at = 0;
  while (at < selector.length) {
    if (steps.length === MAX_STEPS) return `has more than ${MAX_STEPS} steps`;
    if (selector[at] === '[') {
      const bracket = parseBracket(selector, at);
      if (typeof bracket === 'string') return bracket;
      steps.push(bracket.step);
      at = bracket.end;
      continue;
    }
    if (steps.length > 0) {
      if (selector[at] !== '.') return `has ${JSON.stringify(selector[at])} where "." or "[" must follow`;
      at += 1;
    }
    const end = nameEnd(selector, at);
    const name = selector.slice(at, end);
    if (name === '') return 'has an empty step; a name, *, ** or [*] is missing';
    steps.push(name === '*' ? ANY_MEMBER : name === '**' ? ANY_DEPTH : { kind: 'member', name });
    if (name.includes('*') && name !== '*' && name !== '**') return 'has * inside a name; * stands for a whole name';
    at = end;
  }
  if (steps.length === 0) return 'is empty';
  if (steps.at(-1)?.kind === 'any-depth') return 'ends with **; name what is looked for at any depth, as in **.serial';
  return steps;
}

function parseBracket(selector: string, at: number): { step: Step; end: number } | string {
  if (selector.startsWith('[*]', at)) return { step: ANY_ITEM, end: at + 3 };
  const close = selector[at + 1] === '"' ? selector.indexOf('"]', at + 2) : -1;
  if (close < 0) return 'has a bracket that is neither [*] nor ["name"]';
  const name = selector.slice(at + 2, close);
  if (name.includes('"') || name.includes('\\')) return 'has a quote or backslash in a quoted name';
  return { step: { kind: 'member', name }, end: close + 2 };
}

function nameEnd(selector: string, start: number): number {
  let at = start;
  while (at < selector.length && /[\p{L}\p{N}_$@:*-]/u.test(selector[at] as string)) at += 1;
  return at;
}
