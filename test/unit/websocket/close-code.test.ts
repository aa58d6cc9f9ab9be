import { describe, expect, it } from 'vitest';
import { relayedCloseCode } from '../../../src/websocket/close-code.ts';

describe('which close codes cross the gateway', () => {
  it.each([1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4999])('%d as it is', (code) => {
    expect(relayedCloseCode(code)).toBe(code);
  });

  it.each([
    [1005, 1000],
    [1006, 1001],
    [1002, 1011],
    [1010, 1011],
    [1014, 1011],
    [1015, 1011],
    [1004, 1011],
    [0, 1011],
    [999, 1011],
    [2999, 1011],
    [5000, 1011],
    [65_535, 1011],
    [Number.NaN, 1011],
  ])('%d as %d', (code, relayed) => {
    expect(relayedCloseCode(code)).toBe(relayed);
  });
});
