import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { ResponseBody } from '../../../src/upstreams/response-body.ts';

function code(work: () => void): string {
  try {
    work();
    return 'no fault';
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : String(thrown);
  }
}

describe('ResponseBody', () => {
  it('gives back what it was given, however it was cut', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 50 }),
      fc.integer({ min: 4_000, max: 70_000 }).map((n) => new Uint8Array(n).fill(n)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const body = new ResponseBody(10_000_000);
        for (const each of pieces) body.add(each);
        const taken = body.take();
        const expected = Buffer.concat(pieces);
        return taken.kind === 'empty' ? expected.length === 0 : taken.kind === 'bytes' && expected.equals(taken.bytes);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps one piece without copying it', () => {
    const body = new ResponseBody(10);
    const piece = Buffer.from('abc');
    body.add(piece);
    expect(body.take()).toEqual({ kind: 'bytes', bytes: piece });
  });

  it('is bounded to the byte', () => {
    const body = new ResponseBody(5);
    body.add(Buffer.from('abc'));
    expect(code(() => body.add(Buffer.from('de')))).toBe('no fault');
    expect(code(() => body.add(Buffer.from('f')))).toBe('SP_UPSTREAM_TOO_LARGE');
  });

  it('takes no crumbs for ever', () => {
    const body = new ResponseBody(4_194_304);
    let pieces = 0;
    const fault = code(() => {
      for (; pieces < 4_194_304; pieces++) body.add(Buffer.from('x'));
    });
    expect([fault, pieces]).toEqual(['SP_UPSTREAM_RESPONSE', 16_384]);
    const fine = new ResponseBody(4_194_304);
    const piece = Buffer.alloc(64);
    expect(code(() => Array.from({ length: 65_536 }, () => fine.add(piece)))).toBe('no fault');
  });
});
