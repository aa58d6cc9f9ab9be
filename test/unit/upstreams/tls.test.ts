import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UpstreamSettings } from '../../../src/config/settings.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { UpstreamTls } from '../../../src/upstreams/tls.ts';
import { CLIENT_AUTH, type Issued, issue, keyOf } from './certificates.ts';
import { openTo, upstreamSettings } from './http-settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
let root: Issued;
let ours: Issued;
let other: Issued;

beforeAll(async () => {
  root = await issue({ name: 'CA', ca: true });
  ours = await issue({ name: 'gateway', issuer: root, usages: [CLIENT_AUTH] });
  other = await issue({ name: 'other' });
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function fault(over: Partial<UpstreamSettings>): { code: string; text: string } {
  try {
    UpstreamTls.forUpstream(upstreamSettings('https://localhost', over), 'localhost', keyOf);
    return { code: 'no fault', text: '' };
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return { code: thrown.code, text: `${thrown.message} ${JSON.stringify(thrown.details)}` };
  }
}

const certificate = (certificateFile: string, keyFile: string) => ({ certificate: { certificateFile, keyFile } });

describe('our own certificate', () => {
  it('is read once, with a key that nobody else can read', () => {
    const certificateFile = file('cert.pem', ours.pem, 0o644);
    expect(fault(certificate(certificateFile, file('key.pem', ours.keyPem))).code).toBe('no fault');
    for (const mode of [0o640, 0o604, 0o644, 0o660, 0o666, 0o610]) {
      expect(fault(certificate(certificateFile, file('key.pem', ours.keyPem, mode))).code, mode.toString(8)).toBe(
        'SP_KEY_INVALID',
      );
    }
    symlinkSync(file('loose.pem', ours.keyPem, 0o644), join(folder, 'link.pem'));
    expect(fault(certificate(certificateFile, join(folder, 'link.pem'))).code).toBe('SP_KEY_INVALID');
  });

  it('that is unusable is refused at once, without the key in the message', () => {
    const certificateFile = file('cert.pem', ours.pem);
    const keyFile = file('key.pem', ours.keyPem);
    expect(fault(certificate(certificateFile, join(folder, 'absent.pem'))).code).toBe('SP_KEY_INVALID');
    expect(fault(certificate(certificateFile, folder)).code).toBe('SP_KEY_INVALID');
    expect(fault(certificate(certificateFile, file('empty.pem', ''))).code).toBe('SP_KEY_INVALID');
    expect(fault(certificate(certificateFile, file('large.pem', 'x'.repeat(1_048_577)))).code).toBe('SP_KEY_INVALID');
    expect(fault(certificate(join(folder, 'absent.pem'), keyFile)).code).toBe('SP_CERTIFICATE_INVALID');
    expect(fault(certificate(file('none.pem', 'nothing'), keyFile)).code).toBe('SP_CERTIFICATE_INVALID');
    const garbled = fault(certificate(certificateFile, file('garbled.pem', ours.keyPem.replace('MIG', 'XXX'))));
    expect(garbled.code).toBe('SP_KEY_INVALID');
    expect(garbled.text).not.toContain(ours.keyPem.slice(40, 60));
    expect(fault(certificate(certificateFile, file('foreign.pem', other.keyPem))).code).toMatch(
      /^SP_(?:KEY|CERTIFICATE)_INVALID$/,
    );
  });
});

describe('the CAs to trust', () => {
  it('an empty file does not mean the public ones', () => {
    for (const content of [
      '',
      '\n',
      '# nothing yet\n',
      '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
      ours.keyPem,
    ]) {
      expect(fault({ ca: file('ca.pem', content) }).code, content).toBe('SP_CERTIFICATE_INVALID');
    }
    expect(fault({ ca: file('ca.pem', `# ours\n${root.pem}\n${other.pem}`) }).code).toBe('no fault');
    expect(fault({ ca: join(folder, 'absent-ca.pem') }).code).toBe('SP_CERTIFICATE_INVALID');
  });
});

it('pins are checked for form', () => {
  expect(fault({ pins: [root.pin] }).code).toBe('no fault');
  for (const pin of ['', 'sha256/', root.pin.slice(0, -1), root.pin.slice(7), `sha1/${root.pin.slice(7)}`, root.key]) {
    expect(fault({ pins: [pin] }).code, pin).toBe('SP_CONFIG_INVALID');
  }
});

it('plain http with pins, a CA or a certificate is a contradiction', () => {
  for (const over of [{ pins: [root.pin] }, { ca: 'x' }, certificate('a', 'b')]) {
    expect(() => openTo('http://127.0.0.1:1', over)).toThrow(Fault);
  }
});

it('names the host, resumes nothing and leaves nothing to the environment', () => {
  const { options } = UpstreamTls.forUpstream(upstreamSettings('https://localhost'), 'cloud.example', keyOf);
  expect(options).toMatchObject({ servername: 'cloud.example', rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] });
  expect(options.session).toBeUndefined();
  expect(
    UpstreamTls.forUpstream(upstreamSettings('https://localhost'), '127.0.0.1', keyOf).options.servername,
  ).toBeUndefined();
});

it('looks again at what Node made of the handshake', () => {
  const tls = UpstreamTls.forUpstream(upstreamSettings('https://localhost'), 'localhost', keyOf);
  const socket = (authorized: boolean, reused: boolean) =>
    ({ authorized, authorizationError: null, isSessionReused: () => reused }) as unknown as TLSSocket;
  expect(tls.refusal(socket(true, false))).toBeUndefined();
  expect(tls.refusal(socket(false, false))?.code).toBe('SP_UPSTREAM_CERTIFICATE');
  expect(tls.refusal(socket(true, true))?.code).toBe('SP_UPSTREAM_CERTIFICATE');
});

it('a device without a key cannot be known', () => {
  for (const key of ['', 'ab', 'AB'.repeat(32), `${'ab'.repeat(31)}zz`]) {
    expect(() => UpstreamTls.forDevice('device:x', { ca: root.pem }, key, keyOf)).toThrow(Fault);
  }
});
