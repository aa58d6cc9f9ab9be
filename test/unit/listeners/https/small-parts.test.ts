/** Counting, addresses and answers on a bare socket. */
import { describe, expect, it } from 'vitest';
import { Failed } from '../../../../src/exchange/outcome.ts';
import type { SealedReply } from '../../../../src/exchange/sealed.ts';
import { DENIALS, FAULTS } from '../../../../src/faults/catalogue.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { answerOf, problem, rawAnswer } from '../../../../src/listeners/https/answer.ts';
import { peerAddress } from '../../../../src/listeners/https/peer-address.ts';
import { Tally } from '../../../../src/listeners/https/tally.ts';

describe('Tally', () => {
  it('counts per key up to the cap, and forgets keys', () => {
    const tally = new Tally();
    expect([tally.take('a', 2), tally.take('a', 2), tally.take('a', 2), tally.take('b', 1)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(tally.total).toBe(3);
    tally.give('a');
    expect(tally.take('a', 2)).toBe(true);
    for (const key of ['a', 'a', 'b', 'b', 'c']) tally.give(key);
    expect(tally.total).toBe(0);
  });
});

describe('peerAddress', () => {
  it.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    [undefined, ''],
  ])('%s', (address, expected) => {
    expect(peerAddress(address)).toBe(expected);
  });
});

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
