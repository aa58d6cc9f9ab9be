import { describe, expect, it } from 'vitest';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { ruleOf, transformerOf } from './privacy-fixture.ts';

const transformer = transformerOf();

describe('redactPath', () => {
  it.each([
    ['/v1/telemetry', '/v1/telemetry'],
    ['/', '/'],
    ['/admin', '/admin'],
    ['/v12/events/', '/v12/events/'],
    ['/v1/device-events/read_only', '/v1/device-events/read_only'],
    ['/V1/devices/thermo-1/config', '/V1/devices/thermo-1/config'],
  ])('leaves words: %s', (path, redacted) => {
    expect(transformer.redactPath(path)).toBe(redacted);
  });

  it.each([
    'ada-lovelace',
    'ada_lovelace',
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

  const ruled = transformerOf({
    rules: [ruleOf({ path: { pseudonymise: ['patients'], tokenise: ['lines'] } }), ruleOf({ name: 'none' })],
  });

  it.each([
    '/v1/patients/ada',
    '/v1/patients/ada-lovelace',
    '/v1/lines/ada',
    '/v1/p%61tients/ada',
    '/v1/Patients/ada',
    '/v1/patients//ada',
    '/v1/patients/telemetry',
    '/v1/patients/thermo-1',
    '/v1/patients/patients',
    '/v1/patients/v1',
    '/patients/patients/ada',
  ])('hides what a rule disguises, a word, a literal or a known id included: %s', (path) => {
    expect(ruled.redactPath(path)).toMatch(/\/~[A-Za-z0-9_-]{8}$/);
    expect(ruled.redactPath(path)).not.toContain('ada');
    expect(ruled.redactPath(`${path}/rooms`)).toMatch(path.endsWith('/patients') ? /~[\w-]{8}$/ : /~[\w-]{8}\/rooms$/);
  });

  it('shows the words around what a rule disguises', () => {
    expect(ruled.redactPath('/v1/patients/ada/rooms/telemetry')).toMatch(
      /^\/v1\/patients\/~[\w-]{8}\/rooms\/telemetry$/,
    );
    expect(ruled.redactPath('/v1/%ff/patients')).toMatch(/^\/v1\/~[\w-]{8}\/patients$/);
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
