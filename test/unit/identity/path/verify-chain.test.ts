import { describe, expect, it } from 'vitest';
import { isRefusal, readChainCertificate } from '../../../../src/identity/path/chain-certificate.ts';
import { DEFAULT_PATH_LIMITS, HANDSHAKE_PATH_LIMITS } from '../../../../src/identity/path/limits.ts';
import { bySubject, PathSearch } from '../../../../src/identity/path/path-search.ts';
import { chainVerifier, verifyChain } from '../../../../src/identity/path/verify-chain.ts';
import { purposes, SERVER } from '../certificate-maker.ts';
import { ISSUING, ROOT, requestOf } from './chain-case.ts';
import { AT, authority, commonName, ec, type Issued, leaf, revocationList } from './chain-maker.ts';

const withoutIds = { keyIds: [] };
const LIMITS = { ...DEFAULT_PATH_LIMITS, maxUntrusted: 200 };

/** A hundred authorities of few names, each vouched for by one of the next name: every one could be next on the path. */
function bomb(names: readonly string[], size: number): readonly Issued[] {
  const keys = names.map(() => Array.from({ length: Math.ceil(size / names.length) }, () => ec()));
  return names.flatMap((name, group) => {
    const next = (group + 1) % names.length;
    return keys[group]!.map((own, index) => {
      const issuer: Issued = {
        der: Buffer.alloc(0),
        name: commonName(names[next] as string),
        keys: keys[next]![(index * 7 + 1) % keys[next]!.length]!,
      };
      return authority(name, { issuer, keys: own, ...withoutIds });
    });
  });
}

function search(chain: { leaf: Issued; via: readonly Issued[] }) {
  const read = ({ der }: Issued) => {
    const certificate = readChainCertificate(der, 16_384, 'it');
    if (isRefusal(certificate)) throw new TypeError(certificate.detail);
    return certificate;
  };
  const found = new PathSearch({
    anchors: bySubject([read(ROOT)]),
    untrusted: bySubject(chain.via.map(read)),
    crls: [],
    purpose: 'client',
    at: AT,
    limits: LIMITS,
  });
  return { result: found.from(read(chain.leaf)), effort: found.effort };
}

describe('a bomb of a hundred cross-signed authorities', () => {
  const two = bomb(['A', 'B'], 100);
  const five = bomb(['A', 'B', 'C', 'D', 'E'], 100);
  it.each([
    ['two names, a leaf that one of them signed', two, leaf(two[0], withoutIds)],
    ['five names, a leaf that the last one signed', five, leaf(five[19], withoutIds)],
    ['one name, a leaf that nobody signed', bomb(['A'], 100), leaf(undefined, { subject: commonName('A') })],
  ])('%s: ends within its bounds', (_, via, device) => {
    const { result, effort } = search({ leaf: device, via });
    expect(result).toMatchObject({ reason: 'limit-exceeded' });
    expect(effort.attempts).toBeLessThanOrEqual(LIMITS.maxAttempts + 1);
    expect(effort.signatureChecks).toBeLessThanOrEqual(LIMITS.maxSignatureChecks + 1);
  });

  it('many certificates of one key under many that may not issue: attempts without a signature are counted too', () => {
    const keys = ec();
    const b: Issued = { der: Buffer.alloc(0), name: commonName('B'), keys: ec() };
    const same = Array.from({ length: 20 }, () => authority('A', { issuer: b, keys }));
    const none = Array.from({ length: 30 }, () => authority('B', { constraints: null, usage: null }));
    const { result, effort } = search({ leaf: leaf(same[0]), via: [...same, ...none] });
    expect(result).toMatchObject({ reason: 'limit-exceeded' });
    expect(effort).toEqual({ attempts: LIMITS.maxAttempts + 1, signatureChecks: 1 });
  });

  it('does not hide a path whose key identifiers lead the way', () => {
    const issuing = authority('A', { issuer: ROOT });
    const { result, effort } = search({ leaf: leaf(issuing), via: [...two, issuing] });
    expect(isRefusal(result)).toBe(false);
    expect(effort).toEqual({ attempts: 2, signatureChecks: 2 });
  });

  it('is not even read beyond the number of certificates that may come', () => {
    const request = requestOf({ leaf: leaf(ISSUING), via: [ISSUING, ...two] });
    expect(verifyChain(request)).toMatchObject({ accepted: false, reason: 'limit-exceeded' });
    const handshake = chainVerifier({ trust: request.trust, crls: [], purpose: 'client' });
    const chain = [request.leaf, ISSUING.der, ...two.slice(0, 3).map(({ der }) => der)];
    expect(handshake(chain, AT)).toMatchObject({ accepted: false, reason: 'limit-exceeded' });
    expect(handshake(chain.slice(0, 2), AT)).toMatchObject({ accepted: true });
    expect(HANDSHAKE_PATH_LIMITS.maxUntrusted).toBe(3);
  });
});

describe('a verdict', () => {
  it('holds the path, the leaf first', () => {
    const device = leaf(ISSUING);
    const verdict = verifyChain(requestOf({ leaf: device }));
    expect(verdict).toEqual({ accepted: true, path: [device.der, ISSUING.der, ROOT.der] });
  });

  it('names the place that was wrong, nearest to acceptance', () => {
    const stranger = authority('Issuing', { issuer: authority('Elsewhere') });
    const bad = leaf(ISSUING, { purposes: purposes(SERVER) });
    expect(verifyChain(requestOf({ leaf: bad }))).toMatchObject({ reason: 'purpose', detail: /leaf.*clientAuth/ });
    const limited = authority('Limited', { issuer: ISSUING, purposes: purposes(SERVER) });
    const verdict = verifyChain(requestOf({ leaf: leaf(limited), via: [stranger, limited, ISSUING] }));
    expect(verdict).toMatchObject({ reason: 'purpose', detail: /intermediate certificate 1 above/ });
  });
});

describe('a verifier for handshakes', () => {
  const verify = chainVerifier({ trust: [ROOT.der], crls: [], purpose: 'client' });

  it('takes a chain as a peer sends it, again and again', () => {
    const device = leaf(ISSUING);
    for (let round = 0; round < 3; round++) {
      expect(verify([device.der, ISSUING.der], AT)).toMatchObject({ accepted: true });
      expect(verify([device.der], AT)).toMatchObject({ reason: 'no-trusted-path' });
    }
  });

  it('refuses no certificate, and everybody when a list cannot be read', () => {
    expect(verify([], AT)).toMatchObject({ accepted: false, reason: 'certificate-malformed' });
    const blind = chainVerifier({ trust: [ROOT.der], crls: [Buffer.from('none')], purpose: 'client' });
    expect(blind([leaf(ROOT).der], AT)).toMatchObject({ accepted: false, reason: 'crl-malformed' });
  });

  it('goes on without a trusted certificate that cannot be read, and says so to whom it is missing', () => {
    const partly = chainVerifier({ trust: [Buffer.from('none'), ROOT.der], crls: [], purpose: 'client' });
    expect(partly([leaf(ROOT).der], AT)).toMatchObject({ accepted: true });
    const lost = partly([leaf(authority('Elsewhere')).der], AT);
    expect(lost).toMatchObject({ reason: 'certificate-malformed', detail: /Trusted certificate 1/ });
  });

  it('checks the lists that it was made with', () => {
    const lists = [revocationList(ROOT), revocationList(ISSUING)];
    const strict = chainVerifier({ trust: [ROOT.der], crls: lists, purpose: 'client' });
    expect(strict([leaf(ISSUING).der, ISSUING.der], AT)).toMatchObject({ accepted: true });
    expect(strict([leaf(ISSUING).der, ISSUING.der], AT + 90 * 86_400_000)).toMatchObject({
      reason: 'revocation-unknown',
    });
  });
});
