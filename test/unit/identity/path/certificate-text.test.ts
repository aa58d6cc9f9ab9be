import { describe, expect, it } from 'vitest';
import { dersOfFile, dersOfText } from '../../../../src/identity/path/certificate-text.ts';
import { faultOf } from '../identity-fixture.ts';
import { ISSUING, ROOT } from './chain-case.ts';
import { pem, revocationList } from './chain-maker.ts';

const text = (value: string) => Buffer.from(value, 'utf8');

describe('certificates in files and fields', () => {
  it.each([
    ['DER', ROOT.der, [ROOT.der]],
    ['PEM', text(pem(ROOT.der)), [ROOT.der]],
    [
      'PEM, several with notes between',
      text(`root:\n${pem(ROOT.der)}\nthen\n${pem(ISSUING.der)}`),
      [ROOT.der, ISSUING.der],
    ],
    ['PEM with the line ends of Windows', text(pem(ROOT.der).replaceAll('\n', '\r\n')), [ROOT.der]],
    ['base64 of DER', text(`${ROOT.der.toString('base64')}\n`), [ROOT.der]],
  ])('%s', (_, bytes, ders) => {
    expect(dersOfFile(bytes, 'CERTIFICATE').map((der) => Buffer.from(der))).toEqual(ders);
  });

  it('revocation lists too', () => {
    const list = revocationList(ROOT);
    expect(dersOfText(pem(list, 'X509 CRL'), 'X509 CRL')).toEqual([list]);
  });

  it.each([
    ['nothing', ''],
    ['words', 'hello'],
    ['base64 with a character between', ROOT.der.toString('base64').replace(/^(.{10})/, '$1*')],
    ['base64 of the other alphabet', 'MIIB-_8'],
    ['base64 with spare bits', 'MB=='],
    ['another kind of block', pem(ROOT.der, 'PRIVATE KEY')],
    ['a certificate and a key', pem(ROOT.der) + pem(ROOT.der, 'PRIVATE KEY')],
    ['a block without end', pem(ROOT.der).replace(/-----END.*/s, '')],
    ['a good block and one without end', pem(ROOT.der) + pem(ROOT.der).replace(/-----END.*/s, '')],
    ['a block without beginning', `${pem(ROOT.der)}-----END CERTIFICATE-----`],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----'],
    ['a list where a certificate is due', pem(revocationList(ROOT), 'X509 CRL')],
  ])('refuses %s', async (_, bad) => {
    expect(await faultOf(() => dersOfText(bad, 'CERTIFICATE'))).toBe('SP_CERTIFICATE_INVALID');
  });
});
