/** Threat row 24: somebody between the gateway and the cloud, or in the cloud's place, with a certificate of their own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UpstreamSettings } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { CLIENT_AUTH, type Issued, issue, SERVER_AUTH } from '../unit/upstreams/certificates.ts';
import { openAs, openTo } from '../unit/upstreams/http-settings.ts';
import { faultCode, RawServer, response } from '../unit/upstreams/raw-server.ts';
import { sealedMessage } from '../unit/upstreams/sealed-message.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-cloud-certificate-'));
const RSA_2048 = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};
let root: Issued;
let good: Issued;
let caFile: string;
let ourCertificate: { certificateFile: string; keyFile: string };

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

beforeAll(async () => {
  root = await issue({ name: 'Cloud CA', ca: true });
  good = await issue({ issuer: root, dns: ['localhost'], ip: ['127.0.0.1'] });
  caFile = file('ca.pem', root.pem);
  const ours = await issue({ name: 'gateway', issuer: root, usages: [CLIENT_AUTH] });
  ourCertificate = { certificateFile: file('our.pem', ours.pem), keyFile: file('our-key.pem', ours.keyPem) };
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Attempt {
  readonly code: string;
  /** What OpenSSL, Node or we found, as the operator's log has it. */
  readonly reason: string;
  readonly bytes: number;
  readonly requests: number;
  readonly authorized: boolean;
}

/** One request to a server that shows `shown`. */
async function attempt(
  shown: TlsOptions,
  settings: Partial<UpstreamSettings> = {},
  host = 'localhost',
): Promise<Attempt> {
  let authorized = false;
  const server = await new RawServer(
    ({ socket }) => {
      authorized = 'authorized' in socket && socket.authorized === true;
      socket.write(response('secret'));
    },
    { ca: root.pem, requestCert: true, rejectUnauthorized: false, ...shown },
  ).listen();
  const upstream = openAs(host, `https://127.0.0.1:${server.port}`, { ca: caFile, timeoutMs: 2_000, ...settings });
  const sealed = await sealedMessage({ verb: 'POST', body: { kind: 'bytes', bytes: Buffer.from('payload') } });
  let fault: unknown;
  const code = await faultCode(
    upstream.request(sealed, new AbortController().signal).catch((thrown: unknown) => {
      fault = thrown;
      throw thrown;
    }),
  );
  const reason = fault instanceof Fault ? String(fault.details.reason) : '';
  await upstream.close(0);
  await server.close();
  return { code, reason, bytes: server.received.length, requests: server.requests, authorized };
}

const show = ({ pem, keyPem }: Issued, chain = '', more: TlsOptions = {}): TlsOptions => ({
  cert: `${pem}\n${chain}`,
  key: keyPem,
  ...more,
});
/** What the server itself would not do at the usual security level. */
const WEAK: TlsOptions = { ciphers: 'DEFAULT@SECLEVEL=0' };

describe('the right cloud', () => {
  it('is believed: by name, by address, with TLS 1.2 and 1.3, RSA or ECDSA, with a pin, through an intermediate', async () => {
    const intermediate = await issue({ name: 'Intermediate', ca: true, issuer: root });
    const leaf = await issue({ issuer: intermediate, dns: ['localhost'] });
    const wildcard = await issue({ issuer: root, dns: ['*.cloud.example'] });
    const rsa = await issue({ issuer: root, dns: ['localhost'], algorithm: RSA_2048 });
    const attempts = [
      await attempt(show(good)),
      await attempt(show(good), {}, '127.0.0.1'),
      await attempt({ ...show(good), maxVersion: 'TLSv1.2' }),
      await attempt(show(rsa)),
      await attempt({ ...show(rsa), maxVersion: 'TLSv1.2' }),
      await attempt(show(good), { pins: [root.pin, good.pin] }),
      await attempt(show(leaf, intermediate.pem)),
      await attempt(show(wildcard), {}, 'a.cloud.example'),
    ];
    expect(attempts.map(({ code }) => code)).toEqual(attempts.map(() => 'no fault'));
    console.log(`cloud certificates: ${attempts.length} of ${attempts.length} good ones accepted`);
  });

  it('sees our certificate', async () => {
    expect(await attempt(show(good), { certificate: ourCertificate })).toMatchObject({
      code: 'no fault',
      authorized: true,
    });
    expect((await attempt(show(good))).authorized).toBe(false);
  });

  it('that insists on a certificate we do not have is unusable, not silently different', async () => {
    const { code, requests } = await attempt({ ...show(good), rejectUnauthorized: true });
    expect([code, requests]).toEqual(['SP_UPSTREAM_RESPONSE', 0]);
  });
});

describe('the wrong cloud', () => {
  it('is refused, whatever is wrong with its certificate, before it sees a byte', async () => {
    const otherRoot = await issue({ name: 'Other CA', ca: true });
    const twin = await issue({ name: 'Cloud CA', ca: true });
    const intermediate = await issue({ name: 'Intermediate', ca: true, issuer: root });
    const notCa = await issue({ name: 'Not a CA', issuer: root, usages: [SERVER_AUTH] });
    const at = { dns: ['localhost'] };
    const bad: [string, string, TlsOptions, Partial<UpstreamSettings>?, string?][] = [
      ['expired', 'CERT_HAS_EXPIRED', show(await issue({ ...at, issuer: root, from: -30, to: -1 }))],
      ['not yet valid', 'CERT_NOT_YET_VALID', show(await issue({ ...at, issuer: root, from: 1, to: 30 }))],
      ['another host', 'ERR_TLS_CERT_ALTNAME_INVALID', show(await issue({ dns: ['cloud.example'], issuer: root }))],
      ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT', show(await issue({ ...at }))],
      ['another CA', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', show(await issue({ ...at, issuer: otherRoot }))],
      [
        'another CA, sent along',
        'SELF_SIGNED_CERT_IN_CHAIN',
        show(await issue({ ...at, issuer: otherRoot }), otherRoot.pem),
      ],
      [
        'a CA of the right name with another key',
        'CERT_SIGNATURE_FAILURE',
        show(await issue({ ...at, issuer: twin }), twin.pem),
      ],
      ['a key that is not pinned', 'none of the pinned keys', show(good), { pins: [root.pin] }],
      ['for clients only', 'INVALID_PURPOSE', show(await issue({ ...at, issuer: root, usages: [CLIENT_AUTH] }))],
      ['a missing intermediate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', show(await issue({ ...at, issuer: intermediate }))],
      [
        'an intermediate that is no CA',
        'key usage does not include certificate signing',
        show(await issue({ ...at, issuer: notCa }), notCa.pem),
      ],
      [
        'a wildcard for another level',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ dns: ['*.cloud.example'], issuer: root })),
        {},
        'a.b.cloud.example',
      ],
      [
        'a wildcard for the name itself',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ dns: ['*.cloud.example'], issuer: root })),
        {},
        'cloud.example',
      ],
      [
        'a wildcard for a whole domain',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ dns: ['*.example'], issuer: root })),
        {},
        'cloud.example',
      ],
      [
        'another address',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ ip: ['127.0.0.2'], issuer: root })),
        {},
        '127.0.0.1',
      ],
      [
        'an address as DNS name',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ dns: ['127.0.0.1'], issuer: root })),
        {},
        '127.0.0.1',
      ],
      [
        'the name only as common name',
        'the certificate has no subject alternative name',
        show(await issue({ name: 'localhost', issuer: root })),
      ],
      [
        'the name in another one',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        show(await issue({ dns: ['localhost.evil.example'], issuer: root })),
      ],
      [
        'RSA of 1024 bits',
        'EE certificate key too weak',
        show(await issue({ ...at, issuer: root, algorithm: { ...RSA_2048, modulusLength: 1024 } }), '', WEAK),
      ],
      ['signed with SHA-1', 'CA signature digest algorithm too weak', opensslSha1()],
      [
        'a private CA where the public ones are expected',
        'SELF_SIGNED_CERT_IN_CHAIN',
        show(good, root.pem),
        { ca: undefined as never },
      ],
    ];
    const results: [string, string, string, number][] = [];
    for (const [name, , shown, settings, host] of bad) {
      const { code, bytes, reason } = await attempt(shown, settings, host);
      results.push([name, reason, code, bytes]);
    }
    const refused = results.filter(([, , code, bytes]) => code === 'SP_UPSTREAM_CERTIFICATE' && bytes === 0);
    console.log(
      `cloud certificates: ${refused.length} of ${bad.length} bad ones refused, 0 bytes of a request sent to them`,
    );
    expect(results).toEqual(bad.map(([name, reason]) => [name, reason, 'SP_UPSTREAM_CERTIFICATE', 0]));
    expect(bad.length).toBeGreaterThanOrEqual(12);
  });

  it('is refused again on each connection, whatever the environment says', async () => {
    const self = show(await issue({ dns: ['localhost'] }));
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect(await attempt(self)).toMatchObject({ code: 'SP_UPSTREAM_CERTIFICATE', bytes: 0 });
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  it('is refused with an old protocol or a suite without forward secrecy', async () => {
    const rsa = await issue({ issuer: root, dns: ['localhost'], algorithm: RSA_2048 });
    const old: TlsOptions[] = [
      { ...show(good), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { ...show(rsa), maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { ...show(rsa), maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' },
    ];
    for (const options of old) {
      expect(await attempt(options)).toMatchObject({ code: 'SP_UPSTREAM_UNREACHABLE', bytes: 0 });
    }
  });

  it('a server that was right yesterday and changes its key is refused at its next connection', async () => {
    const server = await new RawServer(({ socket }) => socket.end(response('x')), show(good)).listen();
    const upstream = openTo(`https://localhost:${server.port}`, { ca: caFile, pins: [good.pin] });
    const ask = async () => faultCode(upstream.request(await sealedMessage(), new AbortController().signal));
    expect(await ask()).toBe('no fault');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const changed = await issue({ issuer: root, dns: ['localhost'] });
    server.setSecureContext(show(changed));
    expect(await ask()).toBe('SP_UPSTREAM_CERTIFICATE');
    await upstream.close(0);
    await server.close();
  });
});

/** node:crypto no longer signs certificates with SHA-1; openssl still does. */
function opensslSha1(): TlsOptions {
  const { pem, keyPem } = root;
  const [ca, caKey] = [file('sha1-ca.pem', pem), file('sha1-ca-key.pem', keyPem)];
  const [key, request, certificate] = ['sha1-key.pem', 'sha1.csr', 'sha1.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const extensions = file('sha1.ext', 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n');
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key);
  openssl('req', '-new', '-key', key, '-subj', '/CN=localhost', '-out', request);
  openssl(
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    ca,
    '-CAkey',
    caKey,
    '-set_serial',
    '77',
    '-sha1',
    '-days',
    '30',
    '-extfile',
    extensions,
    '-out',
    certificate,
  );
  return { cert: readFileSync(certificate), key: readFileSync(key), ...WEAK };
}

it('there is no way to switch the check off: the source has none', () => {
  const source = new URL('../../src/', import.meta.url);
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => /\.m?[jt]s$/.test(name));
  // Whatever is not literally `rejectUnauthorized: true` counts: a variable could be false.
  const off = /rejectUnauthorized(?!: true\b)|REJECT_UNAUTHORIZED['"]?\]? *=(?!=)|allowUnauthorized|dangerouslyTrust/;
  const hits = files.filter((name) => {
    const text = readFileSync(new URL(name, source), 'utf8');
    return text.split('\n').some((line) => off.test(line) && !/^\s*(?:\/\/|\*|\/\*)/.test(line));
  });
  console.log(`cloud certificates: ${files.length} source files scanned, ${hits.length} switch the check off`);
  expect(hits).toEqual([]);
  expect(files.length).toBeGreaterThan(20);
});
