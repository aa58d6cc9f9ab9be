import { describe, expect, it } from 'vitest';
import { decisionBody, MAX_REASONS, MAX_TEXT, quoted } from '../../../src/ledger/encode.ts';
import { chained, GENESIS, LINE_OVERHEAD, linksOf, MAX_LINE_BYTES } from '../../../src/ledger/format.ts';
import { decisionId, START, sample } from './samples.ts';

describe('text in a record', () => {
  it('is printable ASCII whatever it was, and parses back', () => {
    for (let unit = 0; unit <= 0xffff; unit++) {
      const text = `a${String.fromCharCode(unit)}b`;
      const written = quoted(text);
      if (!/^[ -~]+$/.test(written) || JSON.parse(written) !== text) expect.fail(`unit ${unit.toString(16)}`);
    }
  });

  it('is cut at its bound, with an ellipsis, never inside a character', () => {
    expect(JSON.parse(quoted('x'.repeat(MAX_TEXT)))).toBe('x'.repeat(MAX_TEXT));
    expect(JSON.parse(quoted('x'.repeat(MAX_TEXT + 1)))).toBe(`${'x'.repeat(MAX_TEXT - 1)}…`);
    const faces = JSON.parse(quoted(`x${'😀'.repeat(MAX_TEXT)}`)) as string;
    expect(faces.isWellFormed()).toBe(true);
    expect(faces.length).toBeLessThanOrEqual(MAX_TEXT);
    const shifted = JSON.parse(quoted('😀'.repeat(MAX_TEXT))) as string;
    expect(shifted.isWellFormed()).toBe(true);
  });
});

describe('a record', () => {
  it('is the same as what was decided', () => {
    const record = sample(3, {
      verdict: 'denied',
      reasons: ['no-route', 'rate-limited'],
      action: { ...sample(3).action, targetDevice: 'cam-1' },
      obligations: {
        route: 'r/1',
        upstream: 'cloud',
        privacy: 'readings',
        stream: true,
        rate: { bucket: 'b', perSecond: 0.5, burst: 3 },
        quiet: true,
      },
    });
    const line = chained(7, decisionBody(record), GENESIS);
    expect(JSON.parse(line.text)).toEqual({ seq: 7, kind: 'decision', ...record, prev: GENESIS, hash: line.hash });
  });

  it('has no fields that the decision does not have', () => {
    const { device, obligations, ...bare } = sample(0);
    expect(device && obligations).toBeDefined();
    expect(Object.keys(JSON.parse(chained(0, decisionBody(bare), GENESIS).text))).toEqual([
      'seq',
      'kind',
      'time',
      'decision',
      'verdict',
      'reasons',
      'revision',
      'peer',
      'action',
      'tookMicros',
      'prev',
      'hash',
    ]);
  });

  it('has numbers even where the decision has none', () => {
    const { action } = sample(0);
    const text = chained(
      0,
      decisionBody(sample(0, { time: Number.NaN, action: { ...action, bytes: Infinity } })),
      GENESIS,
    ).text;
    expect(JSON.parse(text)).toMatchObject({ time: -1, action: { bytes: -1 } });
  });

  it('fits a line at its very longest', () => {
    const long = '\u0000'.repeat(100_000);
    const forced = long as unknown as 'no-route';
    const body = decisionBody({
      decision: long,
      time: Number.MAX_VALUE,
      verdict: long as unknown as 'denied',
      reasons: Array.from({ length: 1_000 }, () => forced)
        .slice(0, 1)
        .concat(Array.from({ length: 999 }, () => 'no-route')),
      revision: long,
      device: { id: long, segment: long, state: long },
      peer: { address: long, key: long, serial: long },
      action: {
        protocol: long as unknown as 'https',
        verb: long,
        resource: long,
        direction: long as unknown as 'toCloud',
        contentType: long,
        bytes: Number.MAX_VALUE,
        targetDevice: long,
      },
      obligations: {
        route: long,
        upstream: long,
        privacy: long,
        rate: { bucket: long, perSecond: 0.1, burst: 1 },
        stream: true,
        quiet: true,
      },
      tookMicros: Number.MAX_VALUE,
    });
    const { text } = chained(Number.MAX_SAFE_INTEGER, body, GENESIS);
    expect(text.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
    expect(text.length).toBeLessThanOrEqual(body.length + LINE_OVERHEAD);
    expect(linksOf(Buffer.from(text.trimEnd()))).toMatchObject({ seq: Number.MAX_SAFE_INTEGER, intact: true });
    expect(JSON.parse(text).reasons).toHaveLength(MAX_REASONS);
  });

  it('keeps 128 bits of order: ids of one millisecond differ', () => {
    expect(decisionId(START, 1)).not.toBe(decisionId(START, 2));
  });
});
