import { describe, expect, it } from 'vitest';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { transformerOf } from './privacy-fixture.ts';

const transformer = transformerOf();

describe('redactPath', () => {
  it.each([
    ['/v1/telemetry', '/v1/telemetry'],
    ['/', '/'],
    ['/admin', '/admin'],
    ['/v12/device_events/read-only/', '/v12/device_events/read-only/'],
    ['/V1/devices/thermo-1/config', '/V1/devices/thermo-1/config'],
  ])('leaves words: %s', (path, redacted) => {
    expect(transformer.redactPath(path)).toBe(redacted);
  });

  it.each([
    'SN-1',
    'thermo-2',
    '12345',
    'v123',
    'Ada',
    'ada.lovelace',
    'ada%40example.com',
    'a'.repeat(25),
    'double--hyphen',
    '-x',
    'x_',
    '~x',
    'é',
    '00:1A:2B',
    'x'.repeat(4_000),
    '.',
    '..',
    '\u202eabc',
    'a b',
    '\n',
  ])('hides %j', (segment) => {
    expect(transformer.redactPath(`/v1/${segment}/config`)).toMatch(/^\/v1\/~[A-Za-z0-9_-]{8}\/config$/);
  });

  it('hides the same segment the same way, under a key', () => {
    expect(transformer.redactPath('/SN-1/a')).toBe(transformer.redactPath('/SN-1/a'));
    expect(transformer.redactPath('/SN-1')).not.toBe(transformer.redactPath('/SN-2'));
    expect(transformer.redactPath('/SN-1')).toBe(transformerOf().redactPath('/SN-1'));
    expect(transformer.redactPath('/SN-1')).not.toBe(
      transformerOf({ keys: PrivacyKeys.generate() }).redactPath('/SN-1'),
    );
  });

  it('is bounded, however many segments there are', () => {
    for (const path of ['/SN-1'.repeat(100_000), '/'.repeat(4_096), '/abc'.repeat(1_000), `/${'a'.repeat(300)}`]) {
      expect(transformer.redactPath(path).length).toBeLessThanOrEqual(256);
    }
    expect(transformer.redactPath('/SN-1'.repeat(100))).toMatch(/\/\.\.\.$/);
  });
});
