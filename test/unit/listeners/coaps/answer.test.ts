import { describe, expect, it } from 'vitest';
import { codeText } from '../../../../src/coap/codes.ts';
import { DENIALS, entryOf, FAULTS, type FaultCode, type Reason } from '../../../../src/faults/catalogue.ts';
import { refusal } from '../../../../src/listeners/coaps/answer.ts';

describe('a refusal', () => {
  it.each([...Object.keys(DENIALS), ...Object.keys(FAULTS)] as (Reason | FaultCode)[])('for %s', (code) => {
    const response = refusal(code, '0198c1d2-0000-7000-8000-000000000000');
    expect(codeText(response.code)).toBe(entryOf(code).faces.coap);
    expect([4, 5]).toContain(response.code >> 5);
    expect(Buffer.from(response.payload ?? []).toString()).toBe(`${code} 0198c1d2-0000-7000-8000-000000000000`);
    expect(response.contentFormat).toBeUndefined();
  });

  it('of too many says when to come again', () => {
    expect(refusal('rate-limited', 'x').maxAgeS).toBe(1);
    expect(refusal('SP_GATEWAY_OVERLOADED', 'x').maxAgeS).toBe(1);
    expect(refusal('no-route', 'x').maxAgeS).toBeUndefined();
  });
});
