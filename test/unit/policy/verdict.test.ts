import { describe, expect, it } from 'vitest';
import { DENIALS } from '../../../src/faults/catalogue.ts';
import type { Fault } from '../../../src/faults/fault.ts';
import { parseVerdict } from '../../../src/policy/verdict.ts';

const obligations = { route: 'sensors/telemetry', upstream: 'cloud' };
const permit = { v: 7, allow: true, reasons: [] as unknown, obligations: obligations as unknown };

function result(verdict: unknown): string {
  return JSON.stringify([{ result: verdict }]);
}

function refusal(text: string): string {
  try {
    const decision = parseVerdict(text, 7);
    return decision.allow ? 'allowed' : `denied: ${decision.reasons.join()}`;
  } catch (thrown) {
    return (thrown as Fault).code;
  }
}

describe('a verdict that permits', () => {
  it('is taken with the least of obligations', () => {
    expect(parseVerdict(result(permit), 7)).toEqual({ allow: true, obligations });
  });

  it('is taken with all of them', () => {
    const rate = { bucket: 'sensors/telemetry', per_second: 0.5, burst: 1 };
    const all = { ...obligations, privacy: 'minimal', stream: true, rate, quiet: true };
    expect(parseVerdict(result({ ...permit, obligations: all }), 7)).toEqual({
      allow: true,
      obligations: {
        ...obligations,
        privacy: 'minimal',
        stream: true,
        rate: { bucket: 'sensors/telemetry', perSecond: 0.5, burst: 1 },
        quiet: true,
      },
    });
    const off = { ...obligations, stream: false, quiet: false };
    expect(parseVerdict(result({ ...permit, obligations: off }), 7)).toEqual({ allow: true, obligations });
  });
});

describe('a verdict that denies', () => {
  const deny = (reasons: unknown) => result({ v: 7, allow: false, reasons, obligations: {} });

  it('keeps the reasons in order, each once', () => {
    expect(refusal(deny(['no-route', 'device-disabled', 'no-route']))).toBe('denied: no-route,device-disabled');
    for (const reason of Object.keys(DENIALS)) expect(refusal(deny([reason]))).toBe(`denied: ${reason}`);
  });

  it('without a reason has one', () => {
    expect(refusal(deny([]))).toBe('denied: policy-denied');
    expect(refusal(result({ v: 7, allow: false, reasons: [] }))).toBe('denied: policy-denied');
  });

  it('denies whatever its obligations say, as long as they are an object', () => {
    expect(refusal(result({ v: 7, allow: false, reasons: [], obligations: { mirror: 'evil' } }))).toBe(
      'denied: policy-denied',
    );
    expect(refusal(result({ v: 7, allow: false, reasons: [], obligations: [] }))).toBe('SP_POLICY_VERDICT');
  });
});

describe('what is no verdict denies', () => {
  const cases: [what: string, text: string][] = [
    ['nothing', ''],
    ['no JSON', '[{"result":'],
    ['undefined', '[]'],
    ['two results', JSON.stringify([{ result: permit }, { result: permit }])],
    ['a bare verdict', JSON.stringify(permit)],
    ['no result', '[{}]'],
    ['null as the result set', 'null'],
    ['a list in the result set', '[[]]'],
    ...[null, true, 1, 'allow', [], [permit]].map((value): [string, string] => [
      `${JSON.stringify(value)}`,
      result(value),
    ]),
    ['another sentinel', result({ ...permit, v: 8 })],
    ['the sentinel as text', result({ ...permit, v: '7' })],
    ['no sentinel', result({ ...permit, v: undefined })],
    ...[null, 1, 'true', [], [true], {}, undefined].map((allow): [string, string] => [
      `allow is ${JSON.stringify(allow)}`,
      result({ ...permit, allow }),
    ]),
    ['allow with reasons', result({ ...permit, reasons: ['no-route'] })],
    ...[
      null,
      '',
      'no-route',
      {},
      1,
      undefined,
      ['because'],
      [1],
      [null],
      [['no-route']],
      Array.from({ length: 17 }, () => 'no-route'),
    ].map((reasons): [string, string] => [
      `reasons are ${JSON.stringify(reasons)}`,
      result({ ...permit, allow: false, reasons }),
    ]),
    ['a reason that is a property of every object', result({ ...permit, allow: false, reasons: ['toString'] })],
    ['an unknown key', result({ ...permit, extra: 1 })],
    [
      '__proto__ as a key',
      '[{"result":{"v":7,"allow":true,"reasons":[],"obligations":{"route":"r","upstream":"u"},"__proto__":{}}}]',
    ],
    ['allow by prototype', '[{"result":{"v":7,"reasons":[],"obligations":{},"__proto__":{"allow":true}}}]'],
    ['no obligations', result({ ...permit, obligations: undefined })],
    ['obligations as a list', result({ ...permit, obligations: [obligations] })],
    ['null as obligations', result({ ...permit, obligations: null })],
  ];
  it.each(cases)('%s', (_, text) => {
    expect(refusal(text)).toBe('SP_POLICY_VERDICT');
  });
});

describe('an obligation that is unknown or cannot be met denies', () => {
  const rate = { bucket: 'b', per_second: 1, burst: 1 };
  const cases: [string, object][] = [
    ['an unknown one', { mirror: 'elsewhere' }],
    ['one of every object', { constructor: 'x' }],
    ['no route', { route: undefined }],
    ['no upstream', { upstream: undefined }],
    ...[null, 7, '', {}, ['cloud'], 'a'.repeat(257), 'a\nb', 'a\u0085'].flatMap((value): [string, object][] => [
      [`upstream ${JSON.stringify(value)?.slice(0, 20)}`, { upstream: value }],
      [`privacy ${JSON.stringify(value)?.slice(0, 20)}`, { privacy: value }],
      [`route ${JSON.stringify(value)?.slice(0, 20)}`, { route: value }],
    ]),
    ...['yes', 1, null, {}].flatMap((value): [string, object][] => [
      [`stream ${JSON.stringify(value)}`, { stream: value }],
      [`quiet ${JSON.stringify(value)}`, { quiet: value }],
    ]),
    ...[null, 1, 'x', [], {}, { ...rate, extra: 1 }, { ...rate, bucket: '' }, { ...rate, bucket: 7 }].map(
      (value): [string, object] => [`rate ${JSON.stringify(value)}`, { rate: value }],
    ),
    ...[0, -1, '1', null, 1e7, true].flatMap((value): [string, object][] => [
      [`per_second ${JSON.stringify(value)}`, { rate: { ...rate, per_second: value } }],
      [`burst ${JSON.stringify(value)}`, { rate: { ...rate, burst: value } }],
    ]),
    ['a burst below one', { rate: { ...rate, burst: 0.5 } }],
  ];
  it.each(cases)('%s', (_, change) => {
    expect(refusal(result({ ...permit, obligations: { ...obligations, ...change } }))).toBe('SP_POLICY_OBLIGATION');
  });

  it('numbers beyond what a double holds', () => {
    for (const number of ['1e309', '9007199254740993', '-0', '1e-400']) {
      const text = `[{"result":{"v":7,"allow":true,"reasons":[],"obligations":{"route":"r","upstream":"u","rate":{"bucket":"b","per_second":${number},"burst":1}}}}]`;
      expect(refusal(text)).toBe('SP_POLICY_OBLIGATION');
    }
  });
});

it('shows nothing of a value in its message', () => {
  for (const verdict of [
    { ...permit, allow: false, reasons: ['SN-12345'] },
    { ...permit, 'SN-12345': 1 },
    { ...permit, obligations: { ...obligations, 'SN-12345': 1 } },
    { ...permit, obligations: { ...obligations, upstream: 'SN-12345\n' } },
  ]) {
    expect(() => parseVerdict(result(verdict), 7)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('SN-') }),
    );
  }
});
