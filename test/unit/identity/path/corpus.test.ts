/**
 * The corpus: chains made on the spot, good and bad, one rule each. What we say of each is fixed here, and `openssl verify` is
 * asked as well: where it disagrees, the disagreement is one that docs/conformance/rfc5280.md names and explains.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyChain } from '../../../../src/identity/path/verify-chain.ts';
import { BUILDING } from './cases-building.ts';
import { CERTIFICATES } from './cases-certificates.ts';
import { NAMES } from './cases-names.ts';
import { REVOCATION } from './cases-revocation.ts';
import { SIGNATURES } from './cases-signatures.ts';
import { DIFFERENCES, requestOf } from './chain-case.ts';
import { OpensslVerify } from './chain-maker.ts';

const GROUPS = {
  building: BUILDING,
  signatures: SIGNATURES,
  certificates: CERTIFICATES,
  names: NAMES,
  revocation: REVOCATION,
};
const ALL = Object.values(GROUPS).flat();
const openssl = new OpensslVerify();
afterAll(() => openssl.close());

const hasOpenssl = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL 3.0.');
  } catch {
    return false;
  }
})();

describe.each(Object.entries(GROUPS))('%s', (_, cases) => {
  it.concurrent.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, { says, differs, chain }) => {
    const request = requestOf(chain());
    const verdict = verifyChain(request);
    const said = verdict.accepted ? 'accepted' : verdict.reason;
    expect(said, verdict.accepted ? '' : verdict.detail).toBe(says);
    if (differs === 'no such bound' || !hasOpenssl) return;
    const complaint = await openssl.complaint(request);
    const agrees = (complaint === undefined) === verdict.accepted;
    expect({ agrees, complaint }).toEqual({ agrees: differs === undefined, complaint });
  });
});

describe('the corpus', () => {
  it('has enough chains, each under a name of its own', () => {
    expect(ALL.length).toBeGreaterThanOrEqual(150);
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });

  it('is compared with OpenSSL 3.0 where the project is built', () => {
    if (process.env.CI) expect(hasOpenssl).toBe(true);
  });

  it('documents every difference, and no other', () => {
    const page = readFileSync(new URL('../../../../docs/conformance/rfc5280.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| ([^|`]+) \| (we|OpenSSL) \|/gm)].map(([, name, stricter]) => [
      name,
      stricter,
    ]);
    expect(documented.map(([name]) => name)).toEqual([...DIFFERENCES]);
    const stricter = new Map(documented as [string, string][]);
    // Accepting what OpenSSL refuses is a difference of another weight: it has to be written that way.
    for (const { name, says, differs } of ALL) {
      if (differs === undefined || differs === 'no such bound') continue;
      expect(stricter.get(differs), name).toBe(says === 'accepted' ? 'OpenSSL' : 'we');
    }
    const used = new Set(ALL.map(({ differs }) => differs));
    expect(DIFFERENCES.filter((one) => !used.has(one))).toEqual([]);
  });
});
