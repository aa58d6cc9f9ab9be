import { describe, expect, it } from 'vitest';
import { answerLine, purposeOf, timeOf } from '../../../src/cli/verify-chain-batch.ts';
import type { RegoNumber } from '../../../src/policy/engine/value.ts';
import { parseJson } from '../../../src/policy/engine/value-text.ts';
import { faultOf } from '../identity/identity-fixture.ts';
import { ISSUING, ROOT } from '../identity/path/chain-case.ts';
import { leaf, pem } from '../identity/path/chain-maker.ts';

const number = (text: string) => parseJson(text) as RegoNumber;
const base64 = ISSUING.der.toString('base64');
const good = {
  id: 'a',
  leaf: pem(leaf(ISSUING).der),
  untrusted: [base64],
  trust: [pem(ROOT.der)],
  crls: [],
  purpose: 'client',
  at: '2030-01-01T00:00:00Z',
};
const answer = (changes: object) => answerLine(JSON.stringify({ ...good, ...changes }));

describe('a line of a batch', () => {
  it.each([
    ['as it is documented', {}],
    ['with fields it does not need', { untrusted: [base64, pem(ROOT.der)], note: 'x' }],
    ['with several certificates in one PEM', { untrusted: [pem(ROOT.der) + pem(ISSUING.der)] }],
    ['without lists', { crls: undefined }],
    ['with null for lists', { crls: null }],
  ])('%s is accepted', (_, changes) => {
    expect(answer(changes)).toEqual({ text: '{"id":"a","accepted":true,"reason":null}', wellFormed: true });
  });

  it('keeps an id of any kind, to the last digit', () => {
    const line = JSON.stringify(good).replace('"id":"a"', '"id":{"n":12345678901234567890.10,"x":["\\u001b"]}');
    expect(answerLine(line).text).toBe(
      '{"id":{"n":12345678901234567890.10,"x":["\\u001b"]},"accepted":true,"reason":null}',
    );
  });

  it.each([
    ['no JSON', '{"id":"a"'],
    ['two documents', '{"id":"a"} {}'],
    ['no object', '"a"'],
  ])('%s has no id and an error', (_, line) => {
    expect(answerLine(line)).toEqual({
      text: '{"id":null,"error":"SP_USAGE: The line is not a JSON object."}',
      wellFormed: false,
    });
  });

  it.each([
    ['no leaf', { leaf: undefined }],
    ['two leaves', { leaf: good.leaf + good.leaf }],
    ['a list of leaves', { leaf: [good.leaf] }],
    ['no trust', { trust: undefined }],
    ['trust that is a number', { trust: [1] }],
    ['text that is no certificate', { untrusted: ['hello!'] }],
    ['certificates for lists', { crls: [pem(ROOT.der)] }],
    ['lists under another name, which would be no lists', { crls: undefined, CRL: [] }],
    ['no purpose', { purpose: undefined }],
    ['a purpose in capitals', { purpose: 'CLIENT' }],
    ['a time that is none', { at: 'noon' }],
    ['a time that is true', { at: true }],
  ])('%s is an error, not a verdict', (_, changes) => {
    const { text, wellFormed } = answer(changes);
    expect(wellFormed).toBe(false);
    expect(JSON.parse(text)).toEqual({ id: 'a', error: expect.stringMatching(/^SP_(?:USAGE|CERTIFICATE_INVALID): /) });
  });
});

describe('a time', () => {
  const noon = Date.UTC(2030, 0, 31, 12);
  it.each([
    ['2030-01-31T12:00:00Z', noon],
    ['2030-01-31t12:00:00.000z', noon],
    ['2030-01-31 14:30:00+02:30', noon],
    ['2030-01-31', Date.UTC(2030, 0, 31)],
    [String(noon / 1_000), noon],
    [number(String(noon / 1_000)), noon],
    [number(String(noon)), noon],
    [number('0'), 0],
  ])('%s', (written, milliseconds) => {
    expect(timeOf(written)).toBe(milliseconds);
  });

  it.each([
    '',
    '2030-02-30',
    '2030-02-30T00:00:00Z',
    '2030-01-31T12:00:00',
    '2030-01-31T25:00:00Z',
    '1e9',
    '12 noon',
    'now',
  ])('is not %s', async (written) => {
    expect(await faultOf(() => timeOf(written))).toBe('SP_USAGE');
  });

  it('is now when nothing is said', () => {
    expect(Math.abs(timeOf(undefined) - Date.now())).toBeLessThan(5_000);
  });
});

it('a purpose is one of three', async () => {
  expect(['client', 'server', 'any'].map(purposeOf)).toEqual(['client', 'server', 'any']);
  expect(await faultOf(() => purposeOf('constructor'))).toBe('SP_USAGE');
});
