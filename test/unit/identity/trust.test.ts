import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Authority } from '../../../src/identity/ca/authority.ts';
import { addTrustAnchor, isIssuedBy, readTrustAnchors } from '../../../src/identity/trust.ts';
import { basicConstraints, certificate, name, TRUE, utf8 } from './certificate-maker.ts';
import { faultOf, scratch } from './identity-fixture.ts';

async function setUp() {
  const directory = scratch();
  const own = await Authority.create(directory, 'plant-7');
  const foreign = await Authority.create(scratch(), 'factory');
  return { directory, own, foreign };
}

describe('trust anchors', () => {
  it('are our own CA first, then those that were added, each once', async () => {
    const { directory, own, foreign } = await setUp();
    expect(readTrustAnchors(directory)).toEqual([own.certificate]);
    const file = addTrustAnchor(directory, foreign.certificate);
    expect(addTrustAnchor(directory, foreign.certificate)).toBe(file);
    expect(readTrustAnchors(directory).map((pem) => pem.trim())).toEqual([
      own.certificate.trim(),
      foreign.certificate.trim(),
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('may be a certificate that signed itself, and nothing less', async () => {
    const { directory, own } = await setUp();
    const selfSigned = execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ed25519',
        '-nodes',
        '-subj',
        '/CN=x',
        '-keyout',
        '/dev/null',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    addTrustAnchor(directory, selfSigned);
    const { certificatePem } = await own.issueDevice('a');
    expect(await faultOf(() => addTrustAnchor(directory, certificatePem))).toBe('SP_CERTIFICATE_INVALID');
    expect(await faultOf(() => addTrustAnchor(directory, 'hello'))).toBe('SP_CERTIFICATE_INVALID');
    expect(readTrustAnchors(directory)).toHaveLength(2);
  });

  it('are only files that we wrote', async () => {
    const { directory, foreign, own } = await setUp();
    const file = addTrustAnchor(directory, foreign.certificate);
    writeFileSync(join(file, '..', 'mine.pem'), readFileSync(file));
    unlinkSync(file);
    expect(readdirSync(join(file, '..'))).toEqual(['mine.pem']);
    expect(readTrustAnchors(directory)).toEqual([own.certificate]);
  });

  it('without our own CA are none', async () => {
    expect(await faultOf(() => readTrustAnchors(scratch()))).toBe('SP_KEY_INVALID');
  });
});

describe('an issuer', () => {
  it('is told by name and signature', async () => {
    const { own, foreign } = await setUp();
    const namesake = await Authority.create(scratch(), 'plant-7');
    const { certificatePem } = await own.issueDevice('a');
    expect(isIssuedBy(certificatePem, [foreign.certificate, own.certificate])).toBe(true);
    expect(isIssuedBy(certificatePem, [foreign.certificate, namesake.certificate])).toBe(false);
    const subject = name(['2.5.4.10', utf8('Maker')], ['2.5.4.3', utf8('Maker CA')]);
    const impostor = new X509Certificate(certificate({ subject, extensions: [basicConstraints(TRUE)] }));
    const leaf = new X509Certificate(certificate());
    expect(leaf.checkIssued(impostor)).toBe(true);
    expect(isIssuedBy(leaf.toString(), [impostor.toString()])).toBe(false);
    expect(await faultOf(() => isIssuedBy(certificatePem, ['damaged']))).toBe('SP_CERTIFICATE_INVALID');
  });
});
