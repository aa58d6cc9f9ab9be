/** Whole messages through the transformer: what policy saw is what leaves, and a canary planted where no rule keeps it does not. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/exchange/message.ts';
import { jsonArrival, leave, permittedOf, ruleOf, textOf, transformerOf } from '../unit/privacy/privacy-fixture.ts';

const named = (name: string) => ({ keep: ['kept'], pseudonymise: [`${name}-p`], tokenise: [`${name}-t`] });
const rule = ruleOf({
  ...named('field'),
  query: named('query'),
  headers: named('x-header'),
  path: { pseudonymise: ['devices'], tokenise: ['lines'] },
});
const transformer = transformerOf({ rules: [rule] });

const canaries = fc.uuid().map((id) => `Canary-${id}`);

/** Six ways in which a raw value could be found again. */
function spellings(canary: string): string[] {
  const bytes = Buffer.from(canary);
  return [
    canary,
    bytes.toString('base64').slice(0, -4),
    bytes.toString('base64url').slice(0, -4),
    bytes.toString('hex'),
    [...canary].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join(''),
    [...canary].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join(''),
  ].map((text) => text.toLowerCase());
}

const spell = {
  plain: (canary: string) => canary,
  percent: (canary: string) => [...canary].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join(''),
  escaped: (canary: string) => [...canary].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join(''),
};
const places = fc.subarray(['body', 'key', 'nested', 'query', 'name', 'header', 'path', 'type'] as const, {
  minLength: 1,
});

function messageWith(canary: string, where: readonly string[], isSpelled: boolean) {
  const inUrl = (isSpelled ? spell.percent : spell.plain)(canary);
  const inJson = (isSpelled ? spell.escaped : spell.plain)(canary);
  const at = (place: string, text: string, otherwise: string) => (where.includes(place) ? text : otherwise);
  const body =
    `{"kept":1,"field-p":"${at('body', inJson, 'x')}","field-t":"${at('body', inJson, 'x')}","other":"${at('body', inJson, 'x')}",` +
    `"${at('key', inJson, 'x')}":2,"kept2":{"deep":[{"kept":"${at('nested', inJson, 'x')}"}]}}`;
  const query = `${at('query', `query-p=${inUrl}&query-t=${inUrl}&other=${inUrl}&`, '') + at('name', `${inUrl}=1&`, '')}kept=1`;
  const headers: [string, string][] = [
    ['content-type', `application/json${at('type', `; owner="${canary}"`, '')}`],
    ['accept', '*/*'],
  ];
  for (const name of ['x-header-p', 'x-header-t', 'authorization', 'cookie', 'user-agent', 'referer']) {
    headers.push([name, at('header', canary, 'x')]);
  }
  const path = `/v1/devices/${at('path', inUrl, 'x')}/lines/${at('path', inUrl, 'x')}`;
  return jsonArrival(body, { query, headers, path });
}

const allOf = (message: Message) =>
  [message.verb, message.path, message.query, message.contentType, JSON.stringify(message.headers), textOf(message)]
    .join('\n')
    .toLowerCase();

describe('a message under a rule', () => {
  it('carries no canary out, wherever it was planted and however it was spelled', async () => {
    await fc.assert(
      fc.asyncProperty(canaries, places, fc.boolean(), async (canary, where, isSpelled) => {
        const arrival = messageWith(canary, where, isSpelled);
        const message = await leave(transformer, arrival);
        if (typeof message === 'string') throw new Error(message);
        const out = allOf(message);
        for (const spelling of spellings(canary)) expect(out).not.toContain(spelling);
        expect(textOf(message)).toContain('"kept":1');
        const redacted = transformer.redactPath(arrival.path).toLowerCase();
        for (const spelling of spellings(canary)) expect(redacted).not.toContain(spelling);
      }),
      { numRuns: 2_000 },
    );
  });

  it('that is refused tells nothing of its content', async () => {
    const damage = fc.constantFrom(
      '{"a":"',
      '"',
      '}',
      ',',
      ':',
      '\\x',
      '1e999',
      '\u0000',
      '{"a":1,"a":1}',
      '{"field-p":{}}',
      '%',
      '&kept=1',
    );
    await fc.assert(
      fc.asyncProperty(canaries, damage, fc.nat(400), async (canary, broken, at) => {
        const whole = messageWith(canary, ['body', 'key', 'nested', 'query', 'path'], false);
        const text = whole.body.kind === 'bytes' ? Buffer.from(whole.body.bytes).toString() : '';
        const arrival = {
          ...whole,
          query: `${whole.query}${broken}`,
          body: { kind: 'bytes' as const, bytes: Buffer.from(text.slice(0, at) + broken + text.slice(at)) },
        };
        const permitted = await permittedOf(transformer, arrival);
        try {
          transformer.transform(permitted);
        } catch (thrown) {
          const shown = inspect(thrown, { depth: 9 }).toLowerCase();
          for (const spelling of spellings(canary)) expect(shown).not.toContain(spelling);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a message that leaves unchanged', () => {
  it('leaves as the very bytes that policy saw, for any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 6 }), fc.constantFrom('', ' ', '\n'), async (json, space) => {
        const spaced = JSON.stringify(JSON.parse(json), null, space);
        const permitted = await permittedOf(transformer, jsonArrival(spaced), { privacy: 'unchanged' });
        let seen: string | undefined;
        try {
          seen = permitted.identified.document()?.json;
        } catch {
          return; // numbers beyond 2^53
        }
        const message = transformer.transform(permitted);
        expect(typeof message === 'string' ? message : textOf(message)).toBe(seen);
      }),
      { numRuns: 1_000 },
    );
  });
});
