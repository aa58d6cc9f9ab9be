/** The automaton and the walk over the tape against a naive reading of the same rule; and nothing that is not kept leaves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type PrivacyRule } from '../../src/config/settings.ts';
import { Disguise } from '../../src/privacy/disguise.ts';
import { noFields } from '../../src/privacy/field-counts.ts';
import { parseJson } from '../../src/privacy/json.ts';
import { PrivacyKeys } from '../../src/privacy/keys.ts';
import { minimise } from '../../src/privacy/minimise.ts';
import { restoreJson } from '../../src/privacy/restore.ts';
import { parseSelector, type Step } from '../../src/privacy/selector-path.ts';
import { compileRule } from '../../src/privacy/selectors.ts';
import { ruleOf } from '../unit/privacy/privacy-fixture.ts';

const disguise = new Disguise(PrivacyKeys.generate(), 'property');
const NAMES = ['a', 'b', 'serial', 'é', '__proto__', 'x y'] as const;
const written = (name: string) => (/^[\p{L}_]+$/u.test(name) ? name : `["${name}"]`);

type Json = string | number | boolean | null | readonly Json[] | ReadonlyMap<string, Json>;

/** Documents as maps, so that no name means anything to JavaScript. Each string is one of its kind. */
const documents = fc.letrec<{ value: Json; container: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.uuid().map((id) => `canary-${id}-"é\\`),
    fc.integer({ min: 100_000_000, max: 999_999_999 }),
    fc.constantFrom<Json>(null, true, false),
    tie('container'),
  ),
  container: fc.oneof(
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .dictionary(fc.constantFrom(...NAMES), tie('value'), { maxKeys: 5, noNullPrototype: false })
      .map((object) => new Map(Object.entries(object))),
  ),
})).container;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...NAMES).map(written) },
  fc.constantFrom('*', '[*]', '**'),
);
const selector = fc
  .tuple(
    fc.array(step, { maxLength: 3 }),
    fc.oneof(fc.constantFrom(...NAMES).map(written), fc.constantFrom('*', '[*]')),
  )
  .map(([steps, last]) =>
    [...steps, last].map((text, at) => (at > 0 && !text.startsWith('[') ? `.${text}` : text)).join(''),
  );
const selectors = fc.uniqueArray(selector, { maxLength: 4 });

const rules = fc
  .record({ keep: selectors, pseudonymise: selectors, tokenise: selectors })
  .map(({ keep, pseudonymise, tokenise }): PrivacyRule => {
    const taken = new Set<string>();
    const fresh = (list: readonly string[]) =>
      list.filter((text) => {
        const name = JSON.stringify(parseSelector(text)).replaceAll(
          '{"kind":"any-depth"},{"kind":"any-depth"}',
          '{"kind":"any-depth"}',
        );
        if (taken.has(name)) return false;
        taken.add(name);
        return true;
      });
    return ruleOf({ keep: fresh(keep), pseudonymise: fresh(pseudonymise), tokenise: fresh(tokenise) });
  });

/** Where in its steps a selector can stand after a path of names and items. */
function advance(steps: readonly Step[], positions: ReadonlySet<number>, key: string | undefined): Set<number> {
  const next = new Set<number>();
  for (const at of reachable(steps, positions)) {
    const here = steps[at];
    if (here?.kind === 'any-depth') next.add(at);
    if (here?.kind === 'any-member' && key !== undefined) next.add(at + 1);
    if (here?.kind === 'any-item' && key === undefined) next.add(at + 1);
    if (here?.kind === 'member' && here.name === key) next.add(at + 1);
  }
  return reachable(steps, next);
}

function reachable(steps: readonly Step[], positions: ReadonlySet<number>): Set<number> {
  const all = new Set(positions);
  for (const at of all) if (steps[at]?.kind === 'any-depth') all.add(at + 1);
  return all;
}

type Standing = readonly {
  readonly action: 'keep' | 'pseudonymise' | 'tokenise';
  readonly steps: readonly Step[];
  readonly at: Set<number>;
}[];

const REFUSED = Symbol('refused');

/** What the rule says about a value, read off the selectors one by one. Undefined: nothing of it leaves. */
function expected(value: Json, standing: Standing, isKept: boolean): Json | undefined {
  const actions = standing.filter(({ steps, at }) => at.has(steps.length)).map(({ action }) => action);
  const hasBelow = standing.some(({ steps, at }) => [...at].some((place) => place < steps.length));
  const isContainer = typeof value === 'object' && value !== null;
  const treatment = (['pseudonymise', 'tokenise'] as const).find((action) => actions.includes(action));
  if (treatment !== undefined) {
    if (value === null) return null;
    if (!isContainer) {
      const typed =
        typeof value === 'string'
          ? (`s${value}` as const)
          : typeof value === 'number'
            ? (`n${value}` as const)
            : (`b${value}` as const);
      return treatment === 'tokenise' ? disguise.token(typed) : disguise.pseudonym(typed);
    }
    if (!hasBelow) throw REFUSED;
  }
  const keep = treatment === undefined && (isKept || actions.includes('keep'));
  if (!isContainer) return keep ? value : undefined;
  const below = (key: string | undefined) => standing.map((one) => ({ ...one, at: advance(one.steps, one.at, key) }));
  const parts: [string, Json][] = [];
  const entries = value instanceof Map ? [...value] : (value as Json[]).map((item) => [undefined, item] as const);
  for (const [key, part] of entries) {
    const left = expected(part, below(key), keep);
    if (left !== undefined) parts.push([key ?? '', left]);
  }
  if (parts.length === 0 && !keep) return undefined;
  return value instanceof Map ? new Map(parts) : parts.map(([, part]) => part);
}

function text(value: Json): string {
  if (value instanceof Map)
    return `{${[...value].map(([key, part]) => `${JSON.stringify(key)}:${text(part)}`).join()}}`;
  return Array.isArray(value) ? `[${value.map(text).join()}]` : JSON.stringify(value);
}

function leaves(value: Json): (string | number)[] {
  if (value instanceof Map) return [...value.values()].flatMap(leaves);
  if (Array.isArray(value)) return value.flatMap(leaves);
  return typeof value === 'string' || typeof value === 'number' ? [value] : [];
}

function standingOf(rule: PrivacyRule): Standing {
  return (['keep', 'pseudonymise', 'tokenise'] as const).flatMap((action) =>
    rule[action].map((one) => {
      const steps = parseSelector(one) as readonly Step[];
      return { action, steps, at: reachable(steps, new Set([0])) };
    }),
  );
}

describe('a rule', () => {
  it('lets out exactly what its selectors say, and no raw value of anything else', () => {
    let refusals = 0;
    let full = 0;
    fc.assert(
      fc.property(documents, rules, fc.constantFrom('', ' '), (value, rule, space) => {
        const compiled = compileRule(rule);
        expect(compiled.problems).toEqual([]);
        let wanted: Json | undefined;
        try {
          wanted = expected(value, standingOf(rule), false) ?? (value instanceof Map ? new Map() : []);
        } catch (thrown) {
          if (thrown !== REFUSED) throw thrown;
          refusals += 1;
        }
        const document = parseJson(Buffer.from(space + text(value)), DEFAULT_LIMITS);
        const act = () => minimise(document, compiled.payload, disguise, noFields());
        if (wanted === undefined) {
          expect(act).toThrow('cannot be coarsened or pseudonymised');
          return;
        }
        const left = act();
        expect(left).toBe(text(wanted));
        const out = new Set(leaves(wanted));
        if (out.size > 0) full += 1;
        for (const leaf of leaves(value)) {
          if (out.has(leaf)) continue;
          const raw = typeof leaf === 'string' ? leaf.slice(0, 40) : String(leaf);
          expect(left).not.toContain(raw);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(refusals).toBeGreaterThan(20);
    expect(full).toBeGreaterThan(500);
  });

  it('that keeps and tokenises can be undone without loss', () => {
    const rule = compileRule(ruleOf({ keep: ['*', '[*]'], tokenise: ['**.serial', '**.a'] }));
    fc.assert(
      fc.property(documents, (value) => {
        fc.pre(!hasContainerUnder(value, new Set(['serial', 'a'])));
        const sent = parseJson(Buffer.from(text(value)), DEFAULT_LIMITS);
        const up = minimise(sent, rule.payload, disguise, noFields());
        expect(restoreJson(parseJson(Buffer.from(up), DEFAULT_LIMITS), disguise)).toBe(text(value));
      }),
      { numRuns: 1_000 },
    );
  });
});

function hasContainerUnder(value: Json, names: ReadonlySet<string>): boolean {
  if (value instanceof Map) {
    return [...value].some(([name, part]) => {
      const isContainer = typeof part === 'object' && part !== null;
      return (isContainer && names.has(name)) || hasContainerUnder(part, names);
    });
  }
  return Array.isArray(value) && value.some((part) => hasContainerUnder(part, names));
}
