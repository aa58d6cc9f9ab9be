import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority, type Issued } from '../../../../src/identity/ca/authority.ts';
import { KEY_TYPES, type KeyType } from '../../../../src/identity/ca/keys.ts';
import { peerFromCertificate } from '../../../../src/identity/certificate.ts';
import { DeviceIdentifier } from '../../../../src/identity/identifier.ts';
import { faultOf, NOW, openRegistry, scratch } from '../identity-fixture.ts';

const openssl = (...args: string[]) =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Files as openssl wants them. */
function onDisk(issued: Issued) {
  const folder = scratch();
  const at = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: join(folder, 'ca.pem'), folder };
  writeFileSync(at.cert, issued.certificatePem);
  writeFileSync(at.ca, issued.caPem);
  if (issued.keyPem !== undefined) writeFileSync(at.key, issued.keyPem);
  return at;
}

function verifies(issued: Issued, purpose: string, ...more: string[]): boolean {
  const { cert, ca } = onDisk(issued);
  const { status, stdout } = spawnSync('openssl', [
    'verify',
    '-x509_strict',
    '-purpose',
    purpose,
    ...more,
    '-CAfile',
    ca,
    cert,
  ]);
  return status === 0 && stdout.toString().includes(': OK');
}

async function setUp() {
  const directory = scratch();
  return { directory, authority: await Authority.create(directory, 'plant-7') };
}

describe('a new authority', () => {
  it('is two files for the owner alone, which openssl understands', async () => {
    const { directory } = await setUp();
    const [cert, key] = [join(directory, 'ca', 'cert.pem'), join(directory, 'ca', 'key.pem')];
    expect([cert, key, join(directory, 'ca')].map((path) => statSync(path).mode & 0o777)).toEqual([
      0o600, 0o600, 0o700,
    ]);
    const text = openssl('x509', '-in', cert, '-noout', '-text');
    for (const line of [
      'ASN1 OID: prime256v1',
      'X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0',
      'X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign',
      'Subject: O = Sallyport, CN = plant-7',
    ]) {
      expect(text).toContain(line);
    }
    expect(openssl('pkey', '-in', key, '-noout', '-text')).toContain('Private-Key: (256 bit)');
    expect(openssl('pkey', '-in', key, '-pubout')).toBe(openssl('x509', '-in', cert, '-noout', '-pubkey'));
  });

  it('never takes the place of another', async () => {
    const { directory } = await setUp();
    const before = readFileSync(join(directory, 'ca', 'key.pem'), 'utf8');
    expect(await faultOf(() => Authority.create(directory, 'plant-8'))).toBe('SP_FILE_EXISTS');
    expect(readFileSync(join(directory, 'ca', 'key.pem'), 'utf8')).toBe(before);
  });

  it.each(['', 'a\nb', 'x'.repeat(65), 'a\u202eb'])('refuses the name %j', async (name) => {
    expect(await faultOf(() => Authority.create(scratch(), name))).toBe('SP_USAGE');
  });

  it('says so when its folder cannot be written', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'ca'), '');
    expect(await faultOf(() => Authority.create(directory, 'x'))).toBe('SP_KEY_INVALID');
    expect(await faultOf(() => Authority.create(join(directory, 'ca', 'deeper'), 'x'))).toBe('SP_KEY_INVALID');
  });
});

describe('opening an authority', () => {
  const key = (directory: string) => join(directory, 'ca', 'key.pem');
  it.each<[string, (directory: string) => void]>([
    ['whose key others may read', (directory) => chmodSync(key(directory), 0o640)],
    ['whose key is missing', (directory) => unlinkSync(key(directory))],
    ['whose key is no key', (directory) => writeFileSync(key(directory), 'secret')],
    [
      'whose key is another curve’s',
      (directory) => writeFileSync(key(directory), openssl('genpkey', '-algorithm', 'ed25519')),
    ],
    [
      'whose key is somebody else’s',
      (directory) =>
        writeFileSync(key(directory), openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256')),
    ],
    ['whose certificate is missing', (directory) => unlinkSync(join(directory, 'ca', 'cert.pem'))],
    ['whose certificate is none', (directory) => writeFileSync(join(directory, 'ca', 'cert.pem'), 'x')],
    ['whose key is a gigabyte', (directory) => writeFileSync(key(directory), 'x'.repeat(2_000_000))],
    [
      'whose key is a folder',
      (directory) => {
        renameSync(key(directory), `${key(directory)}.old`);
        mkdirSync(key(directory), { mode: 0o700 });
      },
    ],
  ])('%s is refused', async (_, damage) => {
    const { directory } = await setUp();
    damage(directory);
    expect(await faultOf(() => Authority.open(directory))).toBe('SP_KEY_INVALID');
  });

  it('again issues certificates of the same authority', async () => {
    const { directory, authority } = await setUp();
    const again = await Authority.open(directory);
    expect(again.certificate).toBe(authority.certificate);
    const issued = await again.issueDevice('a');
    expect(verifies({ ...issued, caPem: authority.certificate }, 'sslclient')).toBe(true);
  });
});

describe('a device’s certificate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-authority-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let authority: Authority;
  beforeAll(async () => {
    authority = await Authority.create(folder, 'plant-7');
  });

  it.each<[KeyType, string]>([
    ['p256', 'ASN1 OID: prime256v1'],
    ['p384', 'ASN1 OID: secp384r1'],
    ['ed25519', 'Public Key Algorithm: ED25519'],
    ['rsa2048', 'Public-Key: (2048 bit)'],
  ])('with a key of %s is for clients and for nothing else', async (keyType, line) => {
    const issued = await authority.issueDevice('thermo-1', { keyType });
    expect(verifies(issued, 'sslclient')).toBe(true);
    expect(verifies(issued, 'sslserver')).toBe(false);
    const { cert, key } = onDisk(issued);
    const text = openssl('x509', '-in', cert, '-noout', '-text');
    for (const part of [
      line,
      'X509v3 Basic Constraints: critical\n                CA:FALSE',
      'X509v3 Key Usage: critical\n                Digital Signature\n',
      'X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n',
      'X509v3 Subject Alternative Name: \n                URI:urn:sallyport:device:thermo-1\n',
    ]) {
      expect(text).toContain(part);
    }
    expect(openssl('pkey', '-in', key, '-pubout')).toBe(openssl('x509', '-in', cert, '-noout', '-pubkey'));
  });

  it('covers every key type that is offered', () => {
    expect(KEY_TYPES).toEqual(['p256', 'p384', 'ed25519', 'rsa2048', 'rsa3072', 'rsa4096']);
  });

  it('has a serial of 16 random octets, never the same, positive', async () => {
    const serials = await Promise.all(
      Array.from({ length: 50 }, async () => (await authority.issueDevice('a')).credential.serial),
    );
    expect(new Set(serials).size).toBe(50);
    expect(serials.every((serial) => /^[4-7][0-9A-F]{31}$/.test(serial))).toBe(true);
  });

  it('is valid now and for slow clocks, for the days asked, and no longer than its authority', async () => {
    const { credential } = await authority.issueDevice('a', { days: 10, now: NOW });
    expect([NOW - credential.notBefore, credential.notAfter - NOW]).toEqual([3_600_000, 10 * 86_400_000]);
    const end = new X509Certificate(authority.certificate).validToDate.getTime();
    const late = await authority.issueDevice('a', { days: 3650, now: end - 86_400_000 });
    expect(late.credential.notAfter).toBe(end);
    expect(await faultOf(() => authority.issueDevice('a', { now: end + 1_000 }))).toBe('SP_CERTIFICATE_INVALID');
  });

  it('issued in 2045 by an authority of 2045 is valid beyond 2049', async () => {
    const later = await Authority.create(scratch(), 'later', Date.UTC(2045, 0, 1));
    const issued = await later.issueDevice('a', { days: 3650, now: Date.UTC(2045, 0, 1) });
    expect(new Date(issued.credential.notAfter).getUTCFullYear()).toBe(2054);
    expect(verifies(issued, 'sslclient', '-attime', String(Date.UTC(2052, 0, 1) / 1000))).toBe(true);
  });

  it.each([0, -1, 1.5, 3651, Number.NaN])('is not made for %d days', async (days) => {
    expect(await faultOf(() => authority.issueDevice('a', { days }))).toBe('SP_USAGE');
  });

  it('is not made for an id that is none', async () => {
    expect(await faultOf(() => authority.issueDevice('../a'))).toBe('SP_DEVICE_ID');
  });
});

describe('a server’s certificate', () => {
  it('names localhost and what is configured, and is for servers only', async () => {
    const { authority } = await setUp();
    const issued = await authority.issueServer(
      ['gateway.plant.example', 'localhost'],
      ['10.0.0.1', 'fd00::1', '127.0.0.1'],
    );
    expect(verifies(issued, 'sslserver', '-verify_hostname', 'gateway.plant.example')).toBe(true);
    expect(verifies(issued, 'sslserver', '-verify_hostname', 'localhost')).toBe(true);
    for (const address of ['127.0.0.1', '::1', '10.0.0.1', 'fd00::1'])
      expect(verifies(issued, 'sslserver', '-verify_ip', address)).toBe(true);
    expect(verifies(issued, 'sslserver', '-verify_hostname', 'other.example')).toBe(false);
    expect(verifies(issued, 'sslclient')).toBe(false);
  });

  it.each([['Name.example'], ['a b'], ['a..b'], ['-a'], [''], ['a\n'], ['10.0.0.1:443']])(
    'refuses the DNS name %j',
    async (name) => {
      const { authority } = await setUp();
      expect(await faultOf(() => authority.issueServer([name], []))).toBe('SP_USAGE');
    },
  );

  it.each(['10.0.0', '10.0.0.256', '0x7f.1', 'fd00::1%eth0', '[::1]', 'localhost', '', '::1]/x'])(
    'refuses the address %j',
    async (address) => {
      const { authority } = await setUp();
      expect(await faultOf(() => authority.issueServer([], [address]))).toBe('SP_USAGE');
    },
  );

  it('of a long name is still one that verifies', async () => {
    const { authority } = await setUp();
    const name = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;
    expect(verifies(await authority.issueServer([name], []), 'sslserver', '-verify_hostname', name)).toBe(true);
  });
});

describe('the gateway’s own certificate for a cloud', () => {
  it('is for clients and is no device’s', async () => {
    const { authority } = await setUp();
    const issued = await authority.issueClient('plant 7');
    expect(verifies(issued, 'sslclient')).toBe(true);
    expect(verifies(issued, 'sslserver')).toBe(false);
    const { names } = peerFromCertificate(new X509Certificate(issued.certificatePem), '', 16_384);
    expect(names).toEqual(['URI:urn:sallyport:gateway:plant%207']);
    expect(await faultOf(() => authority.issueClient('a\nb'))).toBe('SP_USAGE');
  });
});

describe('a signing request', () => {
  const request = (folder: string, ...args: string[]) => {
    openssl(
      'req',
      '-new',
      '-nodes',
      '-subj',
      '/CN=whatever',
      '-keyout',
      join(folder, 'k.pem'),
      '-out',
      join(folder, 'r.pem'),
      ...args,
    );
    return readFileSync(join(folder, 'r.pem'), 'utf8');
  };

  it.each([
    ['EC P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['EC P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['Ed25519', ['-newkey', 'ed25519']],
    ['RSA 2048', ['-newkey', 'rsa:2048']],
  ])('for %s becomes a certificate for that key', async (_, args) => {
    const { authority } = await setUp();
    const folder = scratch();
    const issued = await authority.signRequest('thermo-1', request(folder, ...args));
    expect(issued.keyPem).toBeUndefined();
    expect(verifies(issued, 'sslclient')).toBe(true);
    const { cert } = onDisk(issued);
    expect(openssl('x509', '-in', cert, '-noout', '-pubkey')).toBe(
      openssl('pkey', '-in', join(folder, 'k.pem'), '-pubout'),
    );
  });

  it('gets our names and our purpose, whatever it asks for', async () => {
    const { authority } = await setUp();
    const greedy = request(
      scratch(),
      ...[
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-addext',
        'subjectAltName=URI:urn:sallyport:device:other,DNS:*',
      ],
      ...[
        '-addext',
        'extendedKeyUsage=serverAuth',
        '-addext',
        'basicConstraints=critical,CA:TRUE',
        '-addext',
        'keyUsage=keyCertSign',
      ],
    );
    const issued = await authority.signRequest('thermo-1', greedy);
    expect(issued.credential.names).toEqual(['URI:urn:sallyport:device:thermo-1']);
    expect([verifies(issued, 'sslclient'), verifies(issued, 'sslserver')]).toEqual([true, false]);
    expect(new X509Certificate(issued.certificatePem).ca).toBe(false);
    expect(new X509Certificate(issued.certificatePem).subject).toBe('CN=thermo-1');
  });

  it.each<[string, () => string]>([
    ['with a weak key', () => request(scratch(), '-newkey', 'rsa:1024')],
    [
      'for a curve we do not take',
      () => request(scratch(), '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp521r1'),
    ],
    ['signed with SHA-1', () => request(scratch(), '-newkey', 'rsa:2048', '-sha1')],
    [
      'that is a certificate',
      () => openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=x', '-keyout', '/dev/null'),
    ],
    ['that is nothing', () => ''],
    [
      'that is too large',
      () => `-----BEGIN CERTIFICATE REQUEST-----\n${'A'.repeat(40_000)}\n-----END CERTIFICATE REQUEST-----`,
    ],
  ])('%s is refused', async (_, make) => {
    const { authority } = await setUp();
    expect(await faultOf(() => authority.signRequest('a', make()))).toBe('SP_CERTIFICATE_INVALID');
  });

  it('whose signature does not prove possession is refused, at every octet of it', async () => {
    const { authority } = await setUp();
    const pem = request(scratch(), '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
    const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
    for (let at = 0; at < der.length; at++) {
      const bytes = Buffer.from(der);
      bytes[at] = (bytes[at] as number) ^ 0x01;
      const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
      expect([at, await faultOf(() => authority.signRequest('a', forged))]).toEqual([at, 'SP_CERTIFICATE_INVALID']);
    }
  });
});

describe('in a real handshake', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'over %s the device is who it is registered as, and resumes as the same',
    async (version) => {
      const { authority } = await setUp();
      const { registry } = await openRegistry();
      const identifier = new DeviceIdentifier(registry, { now: () => Date.now(), floor: () => 0 });
      const [server, device] = [await authority.issueServer([], []), await authority.issueDevice('thermo-1')];
      await registry.add('thermo-1', { segment: 'sensors' }, device.credential);
      const seen: unknown[] = [];
      const listener = createServer(
        {
          key: server.keyPem,
          cert: server.certificatePem,
          ca: authority.certificate,
          requestCert: true,
          rejectUnauthorized: true,
        },
        (socket: TLSSocket) => {
          const certificate = socket.getPeerX509Certificate();
          seen.push(certificate && identifier.identify(peerFromCertificate(certificate, '127.0.0.1', 16_384)));
          socket.end('x');
        },
      );
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      const { port } = listener.address() as { port: number };
      const visit = (session?: Buffer) =>
        new Promise<{ session: Buffer | undefined; resumed: boolean }>((resolve, reject) => {
          let resumed = false;
          const socket = connect({
            ...{ port, host: '127.0.0.1', servername: 'localhost', ca: authority.certificate },
            ...{ key: device.keyPem, cert: device.certificatePem, minVersion: version, maxVersion: version },
            ...(session && { session }),
          });
          let ticket: Buffer | undefined;
          socket.on('session', (one) => {
            ticket = one;
          });
          socket.on('data', () => {}).on('error', reject);
          socket.on('secureConnect', () => {
            resumed = socket.isSessionReused();
          });
          socket.on('close', () => resolve({ session: ticket ?? session, resumed }));
        });
      const first = await visit();
      const second = await visit(first.session);
      listener.close();
      expect([first.resumed, second.resumed]).toEqual([false, true]);
      expect(seen).toEqual([registry.byId('thermo-1'), registry.byId('thermo-1')]);
    },
  );
});
