/** A privacy rule made ready: selectors as an automaton, names of parameters, headers and path words as maps. */
import type { FieldRules, PrivacyRule } from '../config/settings.ts';
import { compileSelectors, type SelectorProblem, type State } from './automaton.ts';
import { UNFORWARDABLE } from './unforwardable.ts';

export type { SelectorProblem } from './automaton.ts';

export type FieldAction = 'keep' | 'pseudonymise' | 'tokenise';

export interface CompiledRule {
  readonly name: string;
  readonly purpose: string;
  readonly payload: State;
  /** Decoded parameter names. */
  readonly query: ReadonlyMap<string, FieldAction>;
  /** Lowercase header names. */
  readonly headers: ReadonlyMap<string, FieldAction>;
  /** Path words before the segment in question. */
  readonly path: ReadonlyMap<string, FieldAction>;
  /** What is wrong with the rule; empty: nothing. */
  readonly problems: readonly SelectorProblem[];
}

/** RFC 9110 section 5.6.2, without the characters that some servers fold into each other. */
const HEADER_NAME = /^[a-z0-9-]{1,128}$/;

/** Compiles a rule. It may be used only if `problems` is empty. */
export function compileRule(rule: PrivacyRule): CompiledRule {
  const { start, problems } = compileSelectors(rule);
  const found = [...problems];
  const { path } = rule;
  return {
    name: rule.name,
    purpose: rule.purpose,
    payload: start,
    query: compileFields('query', rule.query, found),
    headers: compileHeaders(rule.headers, found),
    path: compileFields('path', { keep: [], ...path }, found),
    problems: found,
  };
}

function compileHeaders(fields: FieldRules, problems: SelectorProblem[]): ReadonlyMap<string, FieldAction> {
  const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
  const { keep, pseudonymise, tokenise } = fields;
  const compiled = compileFields(
    'headers',
    { keep: lower(keep), pseudonymise: lower(pseudonymise), tokenise: lower(tokenise) },
    problems,
  );
  for (const name of compiled.keys()) {
    if (!HEADER_NAME.test(name)) problems.push({ selector: `headers ${name}`, problem: 'is not a header name' });
    if (UNFORWARDABLE.has(name)) problems.push({ selector: `headers ${name}`, problem: 'is never forwarded' });
  }
  return compiled;
}

function compileFields(
  place: 'query' | 'headers' | 'path',
  fields: FieldRules,
  problems: SelectorProblem[],
): ReadonlyMap<string, FieldAction> {
  const compiled = new Map<string, FieldAction>();
  for (const action of ['keep', 'pseudonymise', 'tokenise'] as const) {
    for (const name of fields[action]) {
      const other = compiled.get(name);
      if (other === undefined) compiled.set(name, action);
      else problems.push({ selector: `${place} ${name}`, problem: stands(other, action) });
    }
  }
  return compiled;
}

function stands(first: FieldAction, second: FieldAction): string {
  return first === second ? `stands twice under ${first}` : `stands under both ${first} and ${second}`;
}
