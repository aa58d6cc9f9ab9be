import { expect, it } from 'vitest';
import { roleOf } from '../../../src/workers/role.ts';

const SUPERVISOR = String(process.ppid);

it('is what the supervisor says', () => {
  expect(roleOf('0/2', SUPERVISOR)).toEqual({ worker: 0, of: 2, again: false });
  expect(roleOf('7/8/again', SUPERVISOR)).toEqual({ worker: 7, of: 8, again: true });
});

it.each(['', '2/2', '0/1', '0/99', '-1/2', '1/2/3', '1', 'a/b', '0/2/again '])('is not %j', (text) => {
  expect(() => roleOf(text, SUPERVISOR)).toThrow(expect.objectContaining({ code: 'SP_USAGE' }));
});

it('is nobody else’s to say', () => {
  for (const supervisor of [undefined, '', '1']) {
    expect(() => roleOf('0/2', supervisor)).toThrow(expect.objectContaining({ code: 'SP_USAGE' }));
  }
});
