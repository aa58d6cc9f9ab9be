/** What a device is told, and what it is not. */
import { describe, expect, it } from 'vitest';
import { Failed } from '../../../../src/exchange/outcome.ts';
import type { SealedReply } from '../../../../src/exchange/sealed.ts';
import { DENIALS, FAULTS } from '../../../../src/faults/catalogue.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { answerOf, problem, rawAnswer } from '../../../../src/listeners/https/answer.ts';

describe('answers', () => {
  it('every denial and fault has a problem document without detail', () => {
    for (const code of [...Object.keys(DENIALS), ...Object.keys(FAULTS)] as (keyof typeof DENIALS)[]) {
      const { status, body, close } = problem(code, 'id');
      expect(status).toBeGreaterThanOrEqual(400);
      if (status === 400) expect(close).toBe(true);
      const document = JSON.parse(Buffer.from((body as { bytes: Uint8Array }).bytes).toString());
      expect(Object.keys(document)).toEqual(['type', 'title', 'status', 'reason', 'decision']);
    }
  });

  it('a fault’s message never reaches the device', () => {
    const answer = answerOf(new Failed('id', new Fault('SP_INTERNAL', 'canary', { details: { canary: 1 } })));
    expect(JSON.stringify(rawAnswer(answer!).toString())).not.toContain('canary');
    expect(answer?.status).toBe(500);
  });

  it('there is none for a device that left', () => {
    expect(answerOf(new Failed('id', new Fault('SP_EXCHANGE_CANCELLED')))).toBeUndefined();
  });

  it('an unsealed reply is not written', () => {
    const reply = { reply: { status: 200, headers: [], contentType: '', body: { kind: 'empty' } } };
    const forged = { kind: 'delivered', decision: 'id', reply: reply as unknown as SealedReply } as const;
    expect(() => answerOf(forged)).toThrow(expect.objectContaining({ code: 'SP_EXCHANGE_UNPROVEN' }));
  });

  it('on a bare socket are whole and final', () => {
    const text = rawAnswer(problem('no-route', 'id')).toString();
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(head).toContain('Connection: close');
    expect(head).toContain(`Content-Length: ${body.length}`);
  });
});
