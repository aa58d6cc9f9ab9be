/** The codec against RFC 7252 section 3 and its examples, and against what others accepted that they should not have. */
import { describe, expect, it } from 'vitest';
import { isMalformed, parseMessage, serialiseMessage } from '../../../src/coap/codec.ts';
import { TYPE } from '../../../src/coap/codes.ts';
import { CoapError } from '../../../src/coap/error.ts';
import { DEFAULT_LIMITS } from '../../../src/coap/limits.ts';
import { OPTION } from '../../../src/coap/option-table.ts';
import { NONE, text, words } from './rig.ts';

const hex = (digits: string) => Uint8Array.from(Buffer.from(digits.replace(/\s/g, ''), 'hex'));
const parse = (digits: string | Uint8Array) =>
  parseMessage(typeof digits === 'string' ? hex(digits) : digits, DEFAULT_LIMITS);
const reason = (digits: string | Uint8Array) => {
  const parsed = parse(digits);
  return isMalformed(parsed) ? parsed.malformed : 'accepted';
};

describe('examples of RFC 7252 appendix A', () => {
  it('figure 16: confirmable GET /temperature and its piggybacked answer', () => {
    const request = '40 01 7d34 bb 74656d7065726174757265';
    expect(parse(request)).toMatchObject({ type: TYPE.confirmable, code: 1, messageId: 0x7d34 });
    const answer = parse('60 45 7d34 ff 32322e332043');
    if (isMalformed(answer)) throw new TypeError('malformed');
    expect({ ...answer, payload: words(answer.payload) }).toMatchObject({
      type: TYPE.acknowledgement,
      code: 0x45,
      messageId: 0x7d34,
      payload: '22.3 C',
    });
    expect(Buffer.from(serialiseMessage(answer)).toString('hex')).toBe('60457d34ff32322e332043');
  });

  it('figure 17: with a token', () => {
    const request = parse('41 01 7d35 20 bb 74656d7065726174757265');
    if (isMalformed(request)) throw new TypeError('malformed');
    expect([...request.token]).toEqual([0x20]);
    expect(request.options.map(({ number, value }) => [number, words(value)])).toEqual([
      [OPTION.uriPath, 'temperature'],
    ]);
  });
});

describe('what is malformed', () => {
  it.each([
    ['nothing', '', 'header-truncated'],
    ['three bytes', '400100', 'header-truncated'],
    ['version 0', '00010001', 'version-unknown'],
    ['version 2', '80010001', 'version-unknown'],
    ['an empty message with a token (RFC 7252 section 4.1)', '41000001aa', 'empty-with-content'],
    ['an empty message with bytes behind it', '4000000100', 'empty-with-content'],
    ['an empty non-confirmable message', '50000001', 'type-code-mismatch'],
    ['a request in an acknowledgement', '60010001', 'type-code-mismatch'],
    ['a reset with a code', '70450001', 'type-code-mismatch'],
    ['a token of 9 bytes (reserved length)', '49010001000102030405060708', 'token-malformed'],
    ['a token of 12 bytes (reserved length)', '4c010001000102030405060708090a0b', 'token-malformed'],
    ['token length 15', '4f010001000102030405060708090a0b0c0d0e', 'token-malformed'],
    ['a token past the datagram (coap-packet 1.1.1 accepted it)', '4801000101020304', 'token-malformed'],
    ['an extended token length without its byte', '4d010001', 'token-malformed'],
    ['an extended token past the datagram', '4d01000100ff', 'token-malformed'],
    ['a token longer than the limit (RFC 8974 section 2.2)', `4d01000134${'00'.repeat(65)}`, 'token-too-long'],
    ['an option value past the datagram (coap-packet 1.1.1 accepted it)', '40010001b5616263', 'option-overrun'],
    ['an option head without its extended delta', '40010001d0', 'option-overrun'],
    ['an option head without its second byte of delta', '40010001e000', 'option-overrun'],
    ['an option head without its extended length', '400100010d', 'option-overrun'],
    ['option delta 15 without a payload marker', '40010001f0', 'option-malformed'],
    ['option length 15', '400100010f', 'option-malformed'],
    ['an empty payload after 0xFF (coap-packet 1.1.1 accepted it)', '40010001ff', 'payload-marker-empty'],
    ['option numbers that sum up past 65,535', '40010001e0ffff 00', 'option-malformed'],
    ['option numbers that pass 65,535 in two steps', '40010001e0fef2 e00000', 'option-malformed'],
  ])('%s', (_, digits, expected) => {
    expect(reason(digits)).toBe(expected);
  });

  it.each([1, 6, 7])('reserved class %i.xx (coap-packet 1.1.1 accepted it)', (kind) => {
    for (let detail = 0; detail < 32; detail++)
      expect(reason(Uint8Array.of(0x40, (kind << 5) | detail, 0, 1))).toBe('code-reserved');
  });

  it('class 3 is no class of responses', () => {
    expect(reason('40640001')).toBe('code-reserved');
  });

  it('more options than the limit', () => {
    expect(reason(`40010001${'10'.repeat(64)}`)).toBe('accepted');
    expect(reason(`40010001${'10'.repeat(65)}`)).toBe('options-too-many');
  });

  it('keeps what a reset needs', () => {
    expect(parse('4f01abcd')).toEqual({ malformed: 'token-malformed', type: TYPE.confirmable, messageId: 0xabcd });
  });
});

describe('what is accepted', () => {
  it('tokens of 0 to 8, and of 13 and more with the extended length (RFC 8974)', () => {
    for (const length of [0, 1, 8, 13, 14, 64]) {
      const token = new Uint8Array(length).fill(5);
      const bytes = serialiseMessage({ type: 0, code: 1, messageId: 9, token, options: [], payload: NONE });
      expect(parse(bytes)).toMatchObject({ token });
    }
    const token = new Uint8Array(300).fill(1);
    const bytes = serialiseMessage({ type: 0, code: 1, messageId: 9, token, options: [], payload: NONE });
    expect(parseMessage(bytes, { ...DEFAULT_LIMITS, maxTokenBytes: 300 })).toMatchObject({ token });
  });

  it('option 65,535 and lengths at each step of the encoding', () => {
    for (const length of [0, 12, 13, 268, 269, 1_000]) {
      const options = [
        { number: 1, value: new Uint8Array(length).fill(length) },
        { number: 65_535, value: text('end') },
      ];
      const bytes = serialiseMessage({ type: 0, code: 1, messageId: 9, token: NONE, options, payload: text('x') });
      expect(parse(bytes)).toMatchObject({ options, payload: text('x') });
    }
  });

  it('sorts options when it writes them, and keeps the order of equal ones', () => {
    const options = [
      { number: 15, value: text('b') },
      { number: 11, value: text('1') },
      { number: 15, value: text('a') },
      { number: 11, value: text('2') },
    ];
    const parsed = parse(serialiseMessage({ type: 0, code: 1, messageId: 9, token: NONE, options, payload: NONE }));
    if (isMalformed(parsed)) throw new TypeError('malformed');
    expect(parsed.options.map(({ value }) => words(value)).join('')).toBe('12ba');
  });
});

describe('what cannot be written', () => {
  it.each([
    ['an empty message with a token', { code: 0, token: Uint8Array.of(1) }],
    ['a token of 9 bytes', { token: new Uint8Array(9) }],
    ['an option number past 65,535', { options: [{ number: 65_536, value: NONE }] }],
    ['an option value past 65,804 bytes', { options: [{ number: 1, value: new Uint8Array(65_805) }] }],
  ])('%s', (_, wrong) => {
    const whole = { type: TYPE.confirmable, code: 1, messageId: 1, token: NONE, options: [], payload: NONE };
    expect(() => serialiseMessage({ ...whole, ...wrong })).toThrow(CoapError);
  });
});
