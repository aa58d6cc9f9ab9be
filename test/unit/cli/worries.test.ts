import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DeviceView } from '../../../src/admin/operations.ts';
import {
  endingCertificates,
  speechlessDevices,
  strandedDevices,
  unusableKeys,
  unusedRego,
} from '../../../src/cli/worries.ts';
import type { Settings } from '../../../src/config/settings.ts';
import { fingerprintOf, makePsk, writePsk } from '../../../src/identity/psk.ts';

const NOW = Date.UTC(2026, 10, 25);
const DAY_MS = 86_400_000;

function device(id: string, segment: string, days: number): DeviceView {
  const notAfter = new Date(NOW + days * DAY_MS).toISOString();
  return { id, segment, state: 'active', notAfter } as DeviceView;
}

function settings(parts: Partial<Settings> = {}): Settings {
  return { segments: new Map([['sensors', {}]]), policy: {}, directory: '/nowhere', ...parts } as unknown as Settings;
}

describe('devices', () => {
  it('left in a segment that is gone are named, by segment', () => {
    const devices = [device('a-1', 'sensors', 90), device('b-1', 'old', 90), device('b-2', 'old', 90)];
    expect(strandedDevices(settings(), devices)).toEqual([
      {
        grave: true,
        text: 'b-1, b-2: in segment "old", which sallyport.yaml does not have: all they ask is denied',
        remedy: 'sallyport device set b-1 --segment sensors, or put the segment back',
      },
    ]);
    expect(strandedDevices(settings(), devices.slice(0, 1))).toEqual([]);
  });

  it('whose certificate has ended or ends within 30 days are named, the worst first', () => {
    const devices = [device('a-1', 's', 31), device('b-1', 's', 29), device('c-1', 's', 3), device('d-1', 's', -2)];
    expect(endingCertificates(devices, NOW).map(({ text, grave }) => [grave, text])).toEqual([
      [true, 'the certificate of d-1 expired 2 days ago'],
      [false, 'the certificate of c-1 expires in 3 days, b-1 expires in 29 days'],
    ]);
  });

  it('are counted when there are many', () => {
    const devices = Array.from({ length: 400 }, (_, count) => device(`t-${count}`, 's', 3));
    expect(endingCertificates(devices, NOW)[0]?.text).toMatch(/t-4 expires in 3 days and 395 more$/);
  });
});

describe('devices without a certificate', () => {
  const bare = (id: string, key = 'a'.repeat(64)) => ({ ...device(id, 's', 900), method: 'psk', key }) as DeviceView;

  it('are named while nothing listens for CoAP', () => {
    const devices = [bare('p-1'), { ...device('c-1', 's', 90), method: 'certificate' } as DeviceView];
    expect(speechlessDevices(settings({ listen: {} }), devices)).toMatchObject([
      { grave: true, text: expect.stringMatching(/^p-1: /) },
    ]);
    expect(speechlessDevices(settings({ listen: { coaps: { host: '::', port: 1 } } }), devices)).toEqual([]);
    expect(speechlessDevices(settings({ listen: {} }), devices.slice(1))).toEqual([]);
  });

  it('are named when their key is gone, or another one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-worries-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const psk = makePsk('p-1');
    const known = bare('p-1', fingerprintOf(psk.key));
    expect(unusableKeys(settings({ directory }), [known])[0]?.text).toContain('cannot be read');
    writePsk(directory, 'p-1', psk);
    expect(unusableKeys(settings({ directory }), [known])).toEqual([]);
    expect(unusableKeys(settings({ directory }), [bare('p-1')])[0]?.text).toContain('the registry knows another one');
  });
});

it('Rego that nobody uses is told, until a module is configured', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-worries-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  expect(unusedRego(settings({ directory }))).toEqual([]);
  mkdirSync(join(directory, 'policies', 'site'), { recursive: true });
  writeFileSync(join(directory, 'policies', 'site', 'own.rego'), 'package site');
  expect(unusedRego(settings({ directory }))).toMatchObject([{ text: expect.stringContaining('policies/ has Rego') }]);
  expect(unusedRego(settings({ directory, policy: { module: '/m.wasm', entrypoint: 'x' } }))).toEqual([]);
});
