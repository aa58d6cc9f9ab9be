import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { peerFromCertificate } from '../../../src/identity/certificate.ts';
import { KnownCertificates } from '../../../src/identity/known-certificates.ts';
import { CLIENT_AUTH, issue } from '../upstreams/certificates.ts';

const authority = issue({ name: 'devices', ca: true });
async function certificate(name: string) {
  const { pem } = await issue({ name, issuer: await authority, dns: [name], usages: [CLIENT_AUTH] });
  return new X509Certificate(pem);
}

it('says of a known certificate what it said when it was new, with the address of this connection', async () => {
  const known = new KnownCertificates();
  const [one, other] = [await certificate('thermo-1'), await certificate('thermo-2')];
  for (const each of [one, other, one, other]) {
    for (const address of ['10.0.0.1', '10.0.0.2']) {
      expect(known.peer(each, address, 8_192)).toEqual(peerFromCertificate(each, address, 8_192));
    }
  }
});

it('one that is refused is refused again, and a limit that shrank holds for known ones', async () => {
  const known = new KnownCertificates();
  const good = await certificate('thermo-1');
  const code = (act: () => unknown) => {
    try {
      act();
      return 'accepted';
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
  };
  expect(code(() => known.peer(good, '', 8_192))).toBe('accepted');
  expect(code(() => known.peer(good, '', 100))).toBe('SP_CERTIFICATE_INVALID');
  const bad = new X509Certificate((await issue({ name: 'v', ca: false, dns: ['a..b'], usages: [CLIENT_AUTH] })).pem);
  const first = code(() => known.peer(bad, '', 8_192));
  expect(code(() => known.peer(bad, '', 8_192))).toBe(first);
});
