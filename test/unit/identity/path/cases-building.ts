/** Building: which certificates become a path, and which never do. */
import { DEFAULT_PATH_LIMITS } from '../../../../src/identity/path/limits.ts';
import { dns, utcTime } from '../certificate-maker.ts';
import { type ChainCase, ISSUING, ROOT } from './chain-case.ts';
import {
  alternativeNames,
  authority,
  authorityKeyId,
  commonName,
  ec,
  type Issued,
  keyId,
  leaf,
  revocationList,
  subjectKeyId,
} from './chain-maker.ts';

const second = authority('Second', { issuer: ISSUING });
const third = authority('Third', { issuer: second });
const fourth = authority('Fourth', { issuer: third });
const stranger = authority('Root');
const other = authority('Other root');
const section = '6.1';

/** The same name and key, vouched for by another root. */
const crossed = (by: Issued, wish = {}) => authority('Issuing', { issuer: by, keys: ISSUING.keys, ...wish });
const withoutIds = { keyIds: [] };

export const BUILDING: readonly ChainCase[] = [
  { name: 'leaf, root', rule: section, says: 'accepted', chain: () => ({ leaf: leaf(ROOT), via: [] }) },
  { name: 'leaf, one intermediate, root', rule: section, says: 'accepted', chain: () => ({ leaf: leaf(ISSUING) }) },
  {
    name: 'leaf, two intermediates, root',
    rule: section,
    says: 'accepted',
    chain: () => ({ leaf: leaf(second), via: [ISSUING, second] }),
  },
  {
    name: 'leaf, three intermediates, root',
    rule: section,
    says: 'accepted',
    chain: () => ({ leaf: leaf(third), via: [ISSUING, second, third] }),
  },
  {
    name: 'leaf, four intermediates, root',
    rule: section,
    says: 'path-too-long',
    differs: 'at most three intermediates',
    chain: () => ({ leaf: leaf(fourth), via: [ISSUING, second, third, fourth] }),
  },
  {
    name: 'intermediates in the wrong order, and one too many',
    rule: section,
    says: 'accepted',
    chain: () => ({ leaf: leaf(third), via: [second, fourth, third, other, ISSUING] }),
  },
  {
    name: 'an intermediate is missing',
    rule: section,
    says: 'no-trusted-path',
    chain: () => ({ leaf: leaf(second), via: [second] }),
  },
  {
    name: 'nobody who is trusted',
    rule: section,
    says: 'no-trusted-path',
    chain: () => ({ leaf: leaf(ISSUING), via: [ISSUING, ROOT], trust: [other] }),
  },
  {
    name: 'the root among the untrusted makes nobody trusted',
    rule: section,
    says: 'no-trusted-path',
    chain: () => ({ leaf: leaf(ROOT), via: [ROOT], trust: [other] }),
  },
  {
    name: 'a trusted name with another key',
    rule: '6.1.1 (d)',
    says: 'signature-invalid',
    chain: () => ({ leaf: leaf(ISSUING), trust: [stranger] }),
  },
  {
    name: 'two trusted authorities of one name',
    rule: '6.1.1 (d)',
    says: 'accepted',
    chain: () => ({ leaf: leaf(ISSUING), trust: [stranger, ROOT] }),
  },
  {
    name: 'a self-signed leaf under a trusted name',
    rule: '6.1.1 (d)',
    says: 'signature-invalid',
    chain: () => ({ leaf: leaf(undefined, { subject: ROOT.name }), via: [] }),
  },
  {
    name: 'a self-signed leaf that nobody trusts',
    rule: '6.1.1 (d)',
    says: 'no-trusted-path',
    chain: () => ({ leaf: leaf(undefined), via: [] }),
  },
  {
    name: 'a self-signed leaf that is trusted itself',
    rule: '6.1.1 (d)',
    says: 'accepted',
    chain: () => {
      const own = leaf(undefined);
      return { leaf: own, via: [], trust: [ROOT, own] };
    },
  },
  {
    name: 'a self-signed leaf that is trusted and has expired',
    rule: '6.1.3 (a) (2)',
    says: 'expired',
    chain: () => {
      const own = leaf(undefined, { notAfter: utcTime('291231000000Z') });
      return { leaf: own, via: [], trust: [own] };
    },
  },
  {
    name: 'a leaf that an unknown authority issued and that is trusted itself',
    rule: '6.1.1 (d)',
    says: 'accepted',
    chain: () => {
      const own = leaf(other);
      return { leaf: own, via: [], trust: [own] };
    },
  },
  {
    name: 'a trusted intermediate is an anchor, its root unknown',
    rule: '6.1.1 (d)',
    says: 'accepted',
    chain: () => ({ leaf: leaf(second), via: [second], trust: [ISSUING] }),
  },
  {
    name: 'a trusted certificate also among the untrusted',
    rule: section,
    says: 'accepted',
    chain: () => ({ leaf: leaf(ISSUING), via: [ISSUING, ROOT] }),
  },
  {
    name: 'an intermediate of the right name and another key',
    rule: '6.1.3 (a) (1)',
    says: 'signature-invalid',
    chain: () => ({ leaf: leaf(ISSUING, withoutIds), via: [authority('Issuing', { issuer: ROOT, ...withoutIds })] }),
  },
  {
    name: 'two intermediates of one name, one with the key',
    rule: '6.1.3 (a) (1)',
    says: 'accepted',
    chain: () => ({ leaf: leaf(ISSUING), via: [authority('Issuing', { issuer: ROOT }), ISSUING] }),
  },
  {
    name: 'two intermediates of one name without key identifiers',
    rule: '4.2.1.1',
    says: 'accepted',
    differs: 'another way is looked for',
    chain: () => {
      const keys = ec();
      const issuing = authority('Twin', { issuer: ROOT, keys, ...withoutIds });
      return { leaf: leaf(issuing, withoutIds), via: [authority('Twin', { issuer: ROOT, ...withoutIds }), issuing] };
    },
  },
  {
    name: 'a key identifier that names another key',
    rule: '4.2.1.1',
    says: 'accepted',
    differs: 'key identifiers only order',
    chain: () => {
      const wrong = keyId(ec());
      return { leaf: leaf(ISSUING, { keyIds: [authorityKeyId(wrong)] }) };
    },
  },
  {
    name: 'an intermediate vouched for by two roots, the second one trusted',
    rule: section,
    says: 'accepted',
    differs: 'another way is looked for',
    chain: () => ({ leaf: leaf(ISSUING), via: [ISSUING, crossed(other)], trust: [other] }),
  },
  {
    name: 'an intermediate twice, once expired',
    rule: section,
    says: 'accepted',
    chain: () => ({
      leaf: leaf(ISSUING),
      via: [crossed(ROOT, { notAfter: utcTime('280101000000Z') }), ISSUING],
    }),
  },
  {
    name: 'an intermediate twice, once constrained away from the leaf',
    rule: section,
    says: 'accepted',
    differs: 'no such bound',
    chain: () => ({
      leaf: leaf(ISSUING, { names: alternativeNames(dns('a.example')) }),
      via: [crossed(ROOT, { usage: null, constraints: null }), ISSUING],
    }),
  },
  {
    name: 'authorities that vouch for each other and for nobody trusted',
    rule: section,
    says: 'no-trusted-path',
    chain: () => {
      const [a, b] = [ec(), ec()];
      const first: Issued = { der: Buffer.alloc(0), name: commonName('A'), keys: a };
      const one = authority('B', { issuer: first, keys: b });
      return { leaf: leaf(one), via: [one, authority('A', { issuer: one, keys: a })] };
    },
  },
  {
    name: 'a new key of the root, vouched for by the old one',
    rule: '6.1',
    says: 'accepted',
    chain: () => {
      const renewed = authority('Root', { issuer: ROOT });
      return { leaf: leaf(renewed), via: [renewed] };
    },
  },
  {
    name: 'a device that issues a certificate',
    rule: '6.1.4 (k)',
    says: 'not-an-authority',
    chain: () => {
      const device = leaf(ROOT, { subject: 'Device' });
      return { leaf: leaf(device), via: [device] };
    },
  },
  {
    name: 'a trusted device that issues a certificate',
    rule: '6.1.4 (k)',
    says: 'not-an-authority',
    chain: () => {
      const device = leaf(undefined, { subject: 'Device' });
      return { leaf: leaf(device), via: [], trust: [device] };
    },
  },
  {
    name: 'an authority that cannot be read',
    rule: '4.1',
    says: 'certificate-malformed',
    differs: 'version 3 only',
    chain: () => ({
      leaf: leaf(ISSUING),
      via: [authority('Issuing', { issuer: ROOT, keys: ISSUING.keys, version: tlv0() })],
    }),
  },
  {
    name: 'subject key identifiers alone',
    rule: '4.2.1.2',
    says: 'accepted',
    chain: () => ({ leaf: leaf(ISSUING, { keyIds: [subjectKeyId(Buffer.from('anything'))] }) }),
  },
  {
    name: 'a leaf beyond the size limit',
    rule: 'bound',
    says: 'limit-exceeded',
    differs: 'no such bound',
    chain: () => ({ leaf: leaf(ISSUING), limits: { ...DEFAULT_PATH_LIMITS, maxCertificateBytes: 300 } }),
  },
  {
    name: 'too many untrusted certificates',
    rule: 'bound',
    says: 'limit-exceeded',
    differs: 'no such bound',
    chain: () => ({ leaf: leaf(ISSUING), via: Array.from({ length: 65 }, () => ISSUING) }),
  },
  {
    name: 'too many trusted certificates',
    rule: 'bound',
    says: 'limit-exceeded',
    differs: 'no such bound',
    chain: () => ({ leaf: leaf(ISSUING), trust: Array.from({ length: 513 }, () => ROOT) }),
  },
  {
    name: 'too many revocation lists',
    rule: 'bound',
    says: 'limit-exceeded',
    differs: 'no such bound',
    chain: () => {
      const list = revocationList(ROOT);
      return { leaf: leaf(ISSUING), crls: Array.from({ length: 65 }, () => list) };
    },
  },
  {
    name: 'a revocation list beyond the size limit',
    rule: 'bound',
    says: 'limit-exceeded',
    differs: 'no such bound',
    chain: () => ({
      leaf: leaf(ISSUING),
      crls: [revocationList(ROOT)],
      limits: { ...DEFAULT_PATH_LIMITS, maxCrlBytes: 100 },
    }),
  },
];

function tlv0(): Uint8Array {
  return Buffer.from('a003020101', 'hex');
}
